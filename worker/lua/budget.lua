--[[
The retry budget: retries over calls, in the last minute, over the whole fleet. Included, never run alone.

  hash {since, calls, retries, calls_before, retries_before}: this minute's and the last one's

A sliding window of two counters: the last minute counts with the part of it that is still inside. In a steady
stream that is exact; after a rush at the end of one a real minute may see twice what it should, never more.
Without a floor a provider that is seldom called could never be asked again.
]]

local MINUTE = 60000

local function budget_read(key, now)
  local f = redis.call('HMGET', key, 'since', 'calls', 'retries', 'calls_before', 'retries_before')
  local b = { since = tonumber(f[1] or now), calls = tonumber(f[2] or 0), retries = tonumber(f[3] or 0),
    calls_before = tonumber(f[4] or 0), retries_before = tonumber(f[5] or 0) }
  local turns = math.floor((now - b.since) / MINUTE)
  if turns >= 1 then
    b.calls_before, b.retries_before = turns == 1 and b.calls or 0, turns == 1 and b.retries or 0
    b.calls, b.retries, b.since = 0, 0, b.since + turns * MINUTE
  end
  local inside = 1 - (now - b.since) / MINUTE
  b.made, b.retried = b.calls + b.calls_before * inside, b.retries + b.retries_before * inside
  return b
end

local function budget_write(key, b)
  redis.call('HSET', key, 'since', b.since, 'calls', b.calls, 'retries', b.retries,
    'calls_before', b.calls_before, 'retries_before', b.retries_before)
end

-- how many more retries the budget has room for
local function budget_room(b, policy)
  if policy.retry_ratio == 0 then return math.huge end
  return math.floor(math.max(policy.retry_floor, policy.retry_ratio * b.made) - b.retried + 1e-9)
end
