--[[
limits_reset: a person has what was learnt of a provider's limits forgotten, for the whole fleet at once.

include policy

KEYS     limits hash of each credential
ARGV     now ("" for this server's clock), "1" to forget the calls of today's quota too

returns  how many credentials had something to forget

A pause that is called off leaves an empty bucket that fills from now on, so that calls resume paced and not
as a herd; what was spent ahead stays spent. O(1) for each. Caller: worker/limits.py.
]]

local now, found = clock(ARGV[1]), 0
for _, key in ipairs(KEYS) do
  local at = tonumber(redis.call('HGET', key, 'at') or 0)
  if at > now then redis.call('HSET', key, 'tokens', 0, 'at', now) end
  local gone = redis.call('HDEL', key, 'factor', 'raised_at', 'throttles', 'throttled_at', 'cooldown_until',
    'refused_until')
  if ARGV[2] == '1' then gone = gone + redis.call('HDEL', key, 'quota_used', 'quota_until') end
  if gone > 0 then found = found + 1 end
end
return found
