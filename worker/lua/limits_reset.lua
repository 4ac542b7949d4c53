--[[
limits_reset: a person has what was learnt of a provider's limits forgotten, for the whole fleet at once.

include policy

KEYS     limits hash of each credential
ARGV     now ("" for this server's clock), "1" to forget the calls of today's quota too

returns  how many credentials had something to forget

A pause that is called off leaves an empty bucket that fills from now on, so that calls resume paced and not
as a herd; who was let out ahead keeps its moment, and the next comes after it. O(1) for each. Caller: worker/limits.py.
]]

local now, found = clock(ARGV[1]), 0
for _, key in ipairs(KEYS) do
  local f = redis.call('HMGET', key, 'at', 'tokens', 'factor', 'out_until')
  if tonumber(f[2] or 0) < 0 then
    redis.call('HSET', key, 'tokens', tonumber(f[2]) / tonumber(f[3] or 1))  -- the same moments at the full rate
  elseif tonumber(f[1] or 0) > now then
    redis.call('HSET', key, 'tokens', 0, 'at', math.max(now, tonumber(f[4] or 0)))
  end
  local gone = redis.call('HDEL', key, 'factor', 'raised_at', 'throttles', 'throttled_at', 'cooldown_until',
    'refused_until')
  if ARGV[2] == '1' then gone = gone + redis.call('HDEL', key, 'quota_used', 'quota_until') end
  if gone > 0 then found = found + 1 end
end
return found
