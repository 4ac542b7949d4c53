--[[
import_commit: a page of the import is safe; the next one begins behind it.

Nothing is written for a run that another has taken over from.

KEYS[1]  the import, hash (see import_enter.lua)
KEYS[2]  rows of it that a later import may meet again, zset: digest -> when it changed, ms
KEYS[3]  which import goes on from the watermark just now, string: its id
ARGV     run, ms that the first two are kept, id, ms that it holds KEYS[3], how many rows are remembered at
         most, ms behind which later imports do not go back ("-inf"), how many of the following are fields and
         values, those, then for each row ms and digest

returns  how many rows were not remembered for want of room, in all; nil when the run is over

O(digests * log(rows)). Caller: tasks/importing/desk.py. Undo: none.
]]

if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then return false end

local last = 7 + tonumber(ARGV[7])
redis.call('HSET', KEYS[1], unpack(ARGV, 8, last))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if redis.call('GET', KEYS[3]) == ARGV[3] then redis.call('PEXPIRE', KEYS[3], ARGV[4]) end

local most, floor, forgotten = tonumber(ARGV[5]), tonumber(ARGV[6]) or -math.huge, 0
local oldest = redis.call('ZCARD', KEYS[2]) >= most and redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
local recent = {}
for at = last + 1, #ARGV, 2 do
  local changed = tonumber(ARGV[at])
  if not oldest or changed > tonumber(oldest) then
    recent[#recent + 1], recent[#recent + 2] = ARGV[at], ARGV[at + 1]
  elseif changed >= floor then
    forgotten = forgotten + 1
  end
end
for first = 1, #recent, 1000 do
  redis.call('ZADD', KEYS[2], unpack(recent, first, math.min(#recent, first + 999)))
end
if #recent > 0 then redis.call('PEXPIRE', KEYS[2], ARGV[2]) end

local many = redis.call('ZCARD', KEYS[2]) - most
if many > 0 then  -- the oldest go, and those behind the floor are not missed
  forgotten = forgotten + math.max(0, many - redis.call('ZCOUNT', KEYS[2], '-inf', '(' .. ARGV[6]))
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, many - 1)
end
return redis.call('HINCRBY', KEYS[1], 'forgotten', forgotten)
