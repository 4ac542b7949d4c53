--[[
The provider's rules, packed by worker/policy.py: big-endian doubles, one argument instead of
seventeen. Included, never run alone. 0 switches a rule off; times are ms, the rate is per ms.
]]

local function policy_read(packed)
  local p, ends = {}, {}
  p.rate, p.burst, p.quota, p.most, p.failures, p.window, p.ratio, p.reset_after, p.successes, p.probes,
    p.lease, p.retry_ratio, p.retry_floor, p.quota_fails, ends[1], ends[2], ends[3] =
    struct.unpack('>ddddddddddddddddd', packed)
  p.day_ends = ends
  return p
end

local function clock(given)
  if given ~= '' then return tonumber(given) end
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
