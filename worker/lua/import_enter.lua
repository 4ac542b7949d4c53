--[[
import_enter: this run goes on with the import, and the runs before it may not any more.

One import at a time goes on from a sink's watermark; two would deliver the same rows. One that was left, and
behind which another has ended meanwhile, is over: its rows came with that one. An import for itself (id "")
has nothing to do with either.

KEYS[1]  the import, hash: run, base, since, recall, newest, total, folder, after, complete, skipped,
         forgotten, ended, chunk:<number> (JSON: name, rows)
KEYS[2]  the watermark of data set and sink, string
KEYS[3]  which import goes on from it just now, string: its id
ARGV     ms that the import is kept, id, ms that it holds KEYS[3], then the fields that it begins with,
         each with its value; "base" first, KEYS[2] as it was when they were made

returns  all fields, each with its value; "held": another import is at it, or has just ended; "over"

O(chunks). Caller: tasks/importing/desk.py. Undo: none; the next run enters in its turn.
]]

local id = ARGV[2]
local known = redis.call('HMGET', KEYS[1], 'base', 'ended')
if id ~= '' and known[2] ~= '1' then
  local holder = redis.call('GET', KEYS[3])
  if holder and holder ~= id then return 'held' end
  if (known[1] or ARGV[5]) ~= (redis.call('GET', KEYS[2]) or '') then return known[1] and 'over' or 'held' end
  redis.call('SET', KEYS[3], id, 'PX', ARGV[3])
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
end
redis.call('HINCRBY', KEYS[1], 'run', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return redis.call('HGETALL', KEYS[1])
