--[[
The breaker's rules, shared by begin and finish. Included, never run alone.

  hash {state, open_until, opened_at, failures, window, successes}
       state       "closed" (or absent), "open", "half_open"
       open_until  ms since epoch; past it an open breaker lets probes through
       opened_at   ms since epoch, when it left closed; failed probes do not move it
       failures    in a row
       window      the last outcomes, oldest first, one digit each: 1 failed, 0 not
       successes   probes that succeeded in a row
  probes zset {nonce -> lease end}: a killed worker's probe comes back by itself

]]

local function breaker_read(key)
  local b = redis.call('HMGET', key, 'state', 'open_until', 'failures', 'window', 'successes')
  return {
    state = b[1] or 'closed', open_until = tonumber(b[2] or 0), failures = tonumber(b[3] or 0),
    window = b[4] or '', successes = tonumber(b[5] or 0),
  }
end

-- returns reason and wait, or nil, 0 and the state that makes the call a probe
local function breaker_denies(key, probes_key, policy, now)
  local b = redis.call('HMGET', key, 'state', 'open_until')
  if not b[1] or b[1] == 'closed' then return nil, 0 end
  local open_until = tonumber(b[2] or 0)
  if open_until > now then return 'breaker', open_until - now end
  redis.call('ZREMRANGEBYSCORE', probes_key, '-inf', now)
  if redis.call('ZCARD', probes_key) >= policy.probes then
    local first = redis.call('ZRANGE', probes_key, 0, 0, 'WITHSCORES')
    return 'probing', tonumber(first[2]) - now
  end
  return nil, 0, b[1]
end

local function breaker_open(key, probes_key, policy, now)
  redis.call('HSET', key, 'state', 'open', 'open_until', now + policy.reset_after,
    'failures', 0, 'window', '', 'successes', 0)
  redis.call('HSETNX', key, 'opened_at', now)
  redis.call('DEL', probes_key)
  return 'open'
end

local function trips(policy, failures, window)
  if policy.failures > 0 and failures >= policy.failures then return true end
  if policy.window == 0 or #window < policy.window then return false end
  local _, failed = string.gsub(window, '1', '')
  return failed >= policy.ratio * policy.window
end

-- one outcome of a call that held a lease; returns the state moved to, or ''
local function breaker_hears(key, probes_key, policy, nonce, failed, now)
  local b = breaker_read(key)
  if b.state == 'half_open' and redis.call('ZREM', probes_key, nonce) == 1 then
    if failed then return breaker_open(key, probes_key, policy, now) end
    if b.successes + 1 >= policy.successes then
      redis.call('DEL', key, probes_key)
      return 'closed'
    end
    redis.call('HSET', key, 'successes', b.successes + 1)
  elseif b.state == 'closed' then
    local failures = failed and b.failures + 1 or 0
    local window = ''
    if policy.window > 0 then
      window = string.sub(b.window .. (failed and '1' or '0'), -policy.window)
    end
    if failed and trips(policy, failures, window) then
      return breaker_open(key, probes_key, policy, now)
    end
    if failures ~= b.failures or window ~= b.window then
      redis.call('HSET', key, 'failures', failures, 'window', window)
    end
  end
  return ''
end
