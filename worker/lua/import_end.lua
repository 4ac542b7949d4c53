--[[
import_end: the import counts; the next one into the same sink goes on where it ended.

The one step by which rows are delivered. Its manifest is written behind it, by this import or by the next,
which finds its key in the sink's standing. Of two that went on from the same watermark the second is over.

KEYS[1]  the import, hash (see import_enter.lua)
KEYS[2]  rows that a later one may meet again, of it and of those before (see import_carry.lua), zset: digest ->
         when it changed, ms
KEYS[3]  how the sink stands, hash: ends (how many imports have ended), mark (ISO 8601, in UTC), recall (ms
         from which on all delivered rows are in KEYS[4], "-inf" for ever), owed (KEYS[1] of the one whose
         manifest is to be written)
KEYS[4]  the same as the last import left them, in whose place KEYS[2] comes
KEYS[5]  which import goes on just now, string: its id
ARGV     run, id ("" when no other goes on from it), mark, recall, ms behind which later imports do not go back
         ("-inf"), how many rows are remembered at most

returns  1; "over"; nil when the run is over

O(1). Caller: tasks/importing/desk.py. Undo: none.
]]

if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then return false end

local mine = redis.call('GET', KEYS[5]) == ARGV[2]
if ARGV[2] == '' then
  redis.call('HSET', KEYS[1], 'ended', '1')
  return 1
elseif redis.call('HGET', KEYS[1], 'base') ~= (redis.call('HGET', KEYS[3], 'ends') or '0') then
  redis.call('UNLINK', KEYS[2])
  if mine then redis.call('DEL', KEYS[5]) end
  return 'over'
end

redis.call('HSET', KEYS[1], 'ended', '1')
redis.call('PERSIST', KEYS[1])
redis.call('HSET', KEYS[3], 'mark', ARGV[3], 'owed', KEYS[1])
redis.call('HINCRBY', KEYS[3], 'ends', 1)
if mine then redis.call('DEL', KEYS[5]) end

local recall = ARGV[4]
if recall ~= '-inf' and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[6]) then  -- full: older ones may be gone
  local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
  recall = math.max(recall, math.min(oldest, ARGV[5]))
end
redis.call('HSET', KEYS[3], 'recall', recall)
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('RENAME', KEYS[2], KEYS[4])
  redis.call('PERSIST', KEYS[4])
else
  redis.call('UNLINK', KEYS[4])
end
return 1
