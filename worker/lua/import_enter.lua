--[[
import_enter: this run goes on with the import, and the runs before it may not any more.

One import at a time goes on from a sink's watermark; two would read the same rows, and one in vain. One that
was left, and behind which another has ended meanwhile, is over: its rows came with that one. An import for
itself (id "") has nothing to do with either.

KEYS[1]  the import, hash: run, base, mark, since, recall, newest, floor, total, limit, folder, kind,
         truth_first, truth_last, after, complete, skipped, forgotten, columns (JSON), ended, settled, waits,
         chunk:<number> (JSON: name, rows)
KEYS[2]  how the sink stands, hash (see import_end.lua)
KEYS[3]  which import goes on from its watermark just now, string: its id
ARGV     ms that the import is kept, id, ms that it holds KEYS[3], whose hold counts for nothing, then the
         fields that it begins with, each with its value; "base" first, how many imports into the sink had
         ended when they were made

returns  all fields, each with its value; "held": another import is at it, or has just ended; "over"

O(chunks). Caller: tasks/importing/desk.py. Undo: none; the next run enters in its turn.
]]

local id = ARGV[2]
local known = redis.call('HMGET', KEYS[1], 'base', 'ended')
if id ~= '' and known[2] ~= '1' then
  local passed = (known[1] or ARGV[6]) ~= (redis.call('HGET', KEYS[2], 'ends') or '0')
  if passed and known[1] then return 'over' end
  local holder = redis.call('GET', KEYS[3])
  if passed or holder and holder ~= id and holder ~= ARGV[4] then return 'held' end
  redis.call('SET', KEYS[3], id, 'PX', ARGV[3])
end
if not known[1] then
  redis.call('HSET', KEYS[1], unpack(ARGV, 5))
end
redis.call('HINCRBY', KEYS[1], 'run', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HGETALL', KEYS[1])
