--[[
Token bucket, cooldown, daily quota and what was learnt of a credential. Included, never run alone.

  one hash for each credential of the provider
  hash {tokens, at, cooldown_until, out_until, quota_used, quota_until, refused_until, factor, raised_at,
        throttles, throttled_at}
       tokens          what the bucket held at `at`; a float; below 0 when calls that
                       were let out wait for their moment in a worker's slot, and
                       whatever then happens to the bucket they keep those moments
       at              ms since epoch; in the future after a cooldown, so that
                       calls resume paced and not as a herd
       cooldown_until  ms since epoch
       out_until       when the last leaves of those that had been let out before the cooldown
       quota_used      calls in the provider's present day
       quota_until     ms since epoch, the end of that day; stored, since a TTL
                       could neither be tested nor survive an eviction; at most
                       25 hours from now, for callers whose clock is off by days
       refused_until   ms since epoch; the provider refused this credential, the others serve
       factor          share of the declared rate that the provider bears; absent: all of it
       raised_at       when the factor was last raised
       throttles       cooldowns in a row, none five minutes after the one before it; an answer to a call
                       that left before the last one was over belongs to that one
       throttled_at    when the last one began

The bucket is Turner's token bucket ("New directions in communications", IEEE
Communications Magazine 24(10), 1986), refilled when it is read. The factor falls by half and rises by a
twentieth, as a TCP sender's window does (Chiu and Jain, "Analysis of the increase and decrease algorithms
for congestion avoidance", Computer Networks and ISDN Systems 17, 1989). Moments are whole ms, rounded up:
no interval sees more than the burst, and what the rate allows in its length and one ms more.
]]

local SLACK = 1e-9  -- a float's rounding must not make an honest wait a ms too short
local REPEATED = 300000
local LEAST_FACTOR = 0.05

local function limits_read(key, policy, now)
  local l = redis.call('HMGET', key, 'tokens', 'at', 'cooldown_until', 'quota_used', 'quota_until',
    'refused_until', 'factor', 'out_until')
  local factor = tonumber(l[7] or 1)
  local limits = {
    key = key, rate = policy.rate * factor, factor = factor, cooldown_until = tonumber(l[3] or 0),
    quota_used = tonumber(l[4] or 0), quota_until = tonumber(l[5] or 0),
    refused_until = tonumber(l[6] or 0), tokens = policy.burst,
  }
  if l[1] then
    -- ahead of now only behind a pause; a clock set back must not empty the bucket
    local at = math.min(tonumber(l[2]), math.max(now, limits.cooldown_until, tonumber(l[8] or 0)))
    limits.tokens = math.min(policy.burst, tonumber(l[1]) + (now - at) * limits.rate)
  end
  if limits.quota_until <= now then
    limits.quota_used, limits.quota_until = 0, now + 90000000
    for _, ends in ipairs(policy.day_ends) do
      if ends > now then limits.quota_until = math.min(limits.quota_until, ends) end
    end
  end
  limits.quota_left = policy.quota > 0 and math.max(0, policy.quota - limits.quota_used) or math.huge
  return limits
end

-- ms until the bucket holds a token more than `others` will take
local function bucket_wait(limits, others)
  if limits.rate == 0 then return 0 end
  local missing = 1 + others - limits.tokens
  if missing <= SLACK then return 0 end
  return math.ceil(missing / limits.rate - 1e-6)
end

-- what keeps this credential from being used at all, and for how long
local function limits_held(limits, now)
  local reason, wait = nil, 0
  if limits.refused_until > now then reason, wait = 'credentials', limits.refused_until - now end
  if limits.cooldown_until - now > wait then reason, wait = 'cooldown', limits.cooldown_until - now end
  if limits.quota_left == 0 and limits.quota_until - now > wait then
    reason, wait = 'quota', limits.quota_until - now
  end
  return reason, wait
end

-- the credential with most headroom: the one that can be used soonest, then the most quota left, then the
-- most tokens; returns its number, its limits, what holds it, that wait, and the bucket's
local function limits_choose(keys, first, policy, others, now)
  local best
  for n = first, #keys do
    local limits = limits_read(keys[n], policy, now)
    local reason, wait = limits_held(limits, now)
    local bucket = bucket_wait(limits, others)
    local this = { n - first + 1, limits, reason, wait, bucket, math.max(wait, bucket) }
    local better = not best or this[6] < best[6]
    if best and this[6] == best[6] then
      local mine, its = limits.quota_left, best[2].quota_left
      better = mine > its or mine == its and limits.tokens > best[2].tokens
    end
    if better then best = this end
  end
  return unpack(best, 1, 5)
end

local function limits_spend(limits, policy, now)
  redis.call('HSET', limits.key, 'tokens', limits.tokens - (limits.rate > 0 and 1 or 0), 'at', now)
  if policy.quota > 0 then
    limits.quota_left = limits.quota_left - 1
    redis.call('HSET', limits.key, 'quota_used', limits.quota_used + 1, 'quota_until', limits.quota_until)
  end
end

-- another share of the rate from now on: what was earned was earned at the old one, and who was let out
-- ahead at the old one keeps its moment
local function limits_pace(limits, factor, now)
  local tokens = limits.tokens
  if tokens < 0 then tokens = tokens * factor / limits.factor end
  redis.call('HSET', limits.key, 'tokens', tokens, 'at', now, 'factor', factor, 'raised_at', now)
  if factor >= 1 then redis.call('HDEL', limits.key, 'factor', 'raised_at') end
end

-- nobody is let out until `ends`; then the bucket starts from empty, behind those that were let out before
local function limits_cool(key, policy, ends, now)
  local limits = limits_read(key, policy, now)
  if ends > limits.cooldown_until then
    if limits.cooldown_until <= now then
      local out = limits.tokens < 0 and math.ceil(now - limits.tokens / limits.rate) or 0
      redis.call('HSET', key, 'out_until', out)
    end
    local tokens = math.min(0, limits.tokens + (ends - now) * limits.rate)
    redis.call('HSET', key, 'cooldown_until', ends, 'tokens', tokens, 'at', ends)
  end
end

-- the provider said "too often" to a call that left at `left`
local function limits_throttled(key, policy, ends, left, now)
  local f = redis.call('HMGET', key, 'cooldown_until', 'throttles', 'throttled_at')
  if tonumber(f[1] or 0) < left then
    local again = tonumber(f[3] or 0) > now - REPEATED
    local throttles = again and tonumber(f[2]) + 1 or 1
    redis.call('HSET', key, 'throttles', throttles, 'throttled_at', now)
    if throttles > 1 then
      local limits = limits_read(key, policy, now)
      limits_pace(limits, math.max(LEAST_FACTOR, limits.factor / 2), now)
    end
  end
  limits_cool(key, policy, ends, now)
end

-- an answer came: a lowered rate rises again, once a second at most
local function limits_answered(key, policy, now)
  local f = redis.call('HMGET', key, 'factor', 'raised_at')
  if not f[1] or tonumber(f[2] or 0) > now - 1000 then return end
  limits_pace(limits_read(key, policy, now), math.min(1, tonumber(f[1]) + 0.05), now)
end

-- the provider counts `left` calls until `ends`, those in flight among them or not: never more tokens than
-- that, and when those that were let out will take them all, nobody else is
local function limits_told(key, policy, left, ends, in_flight, now)
  local fits = left - in_flight
  if fits <= 0 then return limits_cool(key, policy, ends, now) end
  local limits = limits_read(key, policy, now)
  if fits < limits.tokens then redis.call('HSET', key, 'tokens', fits, 'at', now) end
end
