--[[
The retry budget: retries over calls, in the last minute, over the whole fleet. Included, never run alone.

  hash {c<slot>, r<slot>}: calls and retries of two seconds each; slot is the time in ms over 2000

A slot that lies half inside of the minute counts for retries and not for calls, so that no minute that ends
with a retry sees more of them than its calls allow. Without a floor a provider that is seldom called could
never be asked again.
]]

local SLOT, SLOTS = 2000, 30

local function budget_count(key, what, number, now)
  local slot = math.floor(now / SLOT)
  if redis.call('HINCRBY', key, what .. slot, number) > number then return end
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if tonumber(string.sub(field, 2)) < slot - SLOTS then redis.call('HDEL', key, field) end
  end
  redis.call('PEXPIRE', key, (SLOTS + 2) * SLOT)
end

-- how many more retries the budget has room for
local function budget_room(key, policy, now)
  if policy.retry_ratio == 0 then return math.huge end
  local slot, calls, retries = math.floor(now / SLOT), 0, 0
  local counted = redis.call('HGETALL', key)
  for n = 1, #counted, 2 do
    local age = slot - tonumber(string.sub(counted[n], 2))
    local number = tonumber(counted[n + 1])
    if string.sub(counted[n], 1, 1) == 'r' then
      if age <= SLOTS then retries = retries + number end
    elseif age < SLOTS then
      calls = calls + number
    end
  end
  return math.floor(math.max(policy.retry_floor, policy.retry_ratio * calls) + 1e-9) - retries
end
