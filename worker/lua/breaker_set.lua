--[[
breaker_set: a person moves the breaker, for the whole fleet at once.

include policy

KEYS[1..2]  breaker hash, probes zset
ARGV        now ("" for this server's clock), wanted (open | closed | half_open), ms to stay open

returns  the state before

O(1). Caller: worker/breaker.py.
]]

local now = clock(ARGV[1])
local before = redis.call('HGET', KEYS[1], 'state') or 'closed'
redis.call('DEL', KEYS[1], KEYS[2])
if ARGV[2] == 'open' then
  redis.call('HSET', KEYS[1], 'state', 'open', 'open_until', now + tonumber(ARGV[3]),
    'opened_at', now)
elseif ARGV[2] == 'half_open' then
  redis.call('HSET', KEYS[1], 'state', 'half_open', 'open_until', now, 'opened_at', now)
end
return before
