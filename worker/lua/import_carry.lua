--[[
import_carry: rows that earlier imports delivered, and that this one may not have met, stay known.

A replica may have hidden them that was behind, or the newest one was deleted. In portions, before the import
ends, so that Redis is never held for long; the newest first, as long as there is room.

KEYS[1]  the import, hash (see import_enter.lua)
KEYS[2]  rows that a later import may meet again, zset: digest -> when it changed, ms
KEYS[3]  the same as the last import left them
ARGV     run, ms that KEYS[2] is kept, how many rows are remembered at most, ms from which on they are ("-inf"),
         how many were carried, how many to carry now

returns  1 when more may be left; 0; nil when the run is over

O(rows that are carried now * log of all). Caller: tasks/importing/desk.py. Undo: none.
]]

if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then return false end

local room = tonumber(ARGV[3]) - redis.call('ZCARD', KEYS[2])
if room <= 0 then return 0 end
local old = redis.call('ZREVRANGEBYSCORE', KEYS[3], '+inf', ARGV[4], 'WITHSCORES', 'LIMIT', ARGV[5], ARGV[6])
for at = 1, #old, 2 do
  if room > 0 then room = room - redis.call('ZADD', KEYS[2], 'NX', old[at + 1], old[at]) end
end
if #old > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return #old == 2 * tonumber(ARGV[6]) and room > 0 and 1 or 0
