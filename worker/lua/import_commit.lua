--[[
import_commit: a page of the import is safe; the next one begins behind it.

Nothing is written for a run that another has taken over from.

KEYS[1]  the import, hash (see import_enter.lua)
KEYS[2]  the rows of it that the next import may meet again, set of digests
KEYS[3]  which import goes on from the watermark just now, string: its id
ARGV     run, ms that the first two are kept, id, ms that it holds KEYS[3], how many rows are remembered at
         most, rows that were skipped, how many of the following are fields and values, those, then digests

returns  how many rows were not remembered for want of room, in all; nil when the run is over

O(digests). Caller: tasks/importing/desk.py. Undo: none.
]]

if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then return false end

local last = 7 + tonumber(ARGV[7])
redis.call('HSET', KEYS[1], unpack(ARGV, 8, last))
redis.call('HINCRBY', KEYS[1], 'skipped', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if redis.call('GET', KEYS[3]) == ARGV[3] then redis.call('PEXPIRE', KEYS[3], ARGV[4]) end
local room = tonumber(ARGV[5]) - redis.call('SCARD', KEYS[2])
local fits = math.min(#ARGV, last + math.max(room, 0))
for first = last + 1, fits, 1000 do
  redis.call('SADD', KEYS[2], unpack(ARGV, first, math.min(fits, first + 999)))
end
if fits > last then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
return redis.call('HINCRBY', KEYS[1], 'forgotten', #ARGV - fits)
