--[[
Token bucket, cooldown and daily quota, shared by begin and finish. Included, never run alone.

  hash {tokens, at, cooldown_until, quota_used, quota_until, claimed_through}
       tokens           what the bucket held at `at`; a float
       at               ms since epoch; in the future after a cooldown, so that
                        calls resume paced and not as a herd
       cooldown_until   ms since epoch
       quota_used       calls in the provider's present day
       quota_until      ms since epoch, the end of that day; stored, since a TTL
                        could neither be tested nor survive an eviction; at most
                        25 hours from now, for callers whose clock is off by days
       claimed_through  publishing time of the youngest call ever claimed

The bucket is Turner's token bucket ("New directions in communications", IEEE
Communications Magazine 24(10), 1986), refilled when it is read.
]]

local SLACK = 1e-9  -- a float's rounding must not make an honest wait a ms too short

local function limits_read(key, policy, now)
  local l = redis.call('HMGET', key, 'tokens', 'at', 'cooldown_until', 'quota_used', 'quota_until',
    'claimed_through')
  local limits = {
    cooldown_until = tonumber(l[3] or 0), quota_used = tonumber(l[4] or 0),
    quota_until = tonumber(l[5] or 0), claimed_through = tonumber(l[6] or 0), at = now, tokens = policy.burst,
  }
  if l[1] then
    local at = tonumber(l[2])
    limits.tokens = math.min(policy.burst, tonumber(l[1]) + (now - at) * policy.rate)
  end
  if limits.quota_until <= now then
    limits.quota_used, limits.quota_until = 0, now + 90000000
    for _, ends in ipairs(policy.day_ends) do
      if ends > now then limits.quota_until = math.min(limits.quota_until, ends) end
    end
  end
  return limits
end

local function bucket_wait(limits, policy)
  if policy.rate == 0 or limits.tokens >= 1 - SLACK then return 0 end
  return math.ceil((1 - limits.tokens) / policy.rate - 1e-6)
end

local function quota_wait(limits, policy, now)
  if policy.quota == 0 or limits.quota_used < policy.quota then return 0 end
  return limits.quota_until - now
end

local function limits_spend(key, limits, policy, now)
  redis.call('HSET', key, 'tokens', limits.tokens - (policy.rate > 0 and 1 or 0), 'at', now,
    'claimed_through', limits.claimed_through)
  if policy.quota > 0 then
    limits.quota_used = limits.quota_used + 1
    redis.call('HSET', key, 'quota_used', limits.quota_used, 'quota_until', limits.quota_until)
  end
end

-- nobody calls until `ends`; then the bucket starts from empty
local function limits_cool(key, ends)
  local until_now = tonumber(redis.call('HGET', key, 'cooldown_until') or 0)
  if ends > until_now then
    redis.call('HSET', key, 'cooldown_until', ends, 'tokens', 0, 'at', ends)
  end
end
