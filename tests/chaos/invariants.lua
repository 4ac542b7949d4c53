--[[
invariants: is every call in exactly one place, the one that its record names?

Read in one step, so that no call is met on its way from one place to another.

KEYS[1..5]  queued, running, waiting, parked, slow: zsets of task ids
KEYS[6]     released: zset of task ids
ARGV        record key prefix

returns  {queued, running, waiting, parked, slow, what is broken as text …}: first how many are in each

O(n) in all keys of the server. Caller: tests/chaos/invariants.py.
]]

local states = { 'queued', 'running', 'waiting', 'parked', 'slow' }
local answer, broken, home = {}, {}, {}

local function complain(id, text) broken[#broken + 1] = id .. ' ' .. text end

for n, state in ipairs(states) do
  local ids = redis.call('ZRANGE', KEYS[n], 0, -1)
  answer[n] = #ids
  for _, id in ipairs(ids) do
    local f = redis.call('HMGET', ARGV[1] .. id, 'state', 'lease_until')
    if home[id] then complain(id, 'is ' .. home[id] .. ' and ' .. state) end
    home[id] = state
    if f[1] ~= state then complain(id, 'is ' .. state .. ', its record says ' .. (f[1] or 'nothing')) end
    if state == 'running' and not f[2] then complain(id, 'is running without a lease') end
  end
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[6], 0, -1)) do
  if home[id] ~= 'queued' then complain(id, 'is released and ' .. (home[id] or 'nowhere')) end
end
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local id, state = string.sub(key, #ARGV[1] + 1), redis.call('HGET', key, 'state')
  if not home[id] and state ~= 'ended' then complain(id, 'is nowhere, its record says ' .. (state or 'nothing')) end
end
for _, text in ipairs(broken) do answer[#answer + 1] = text end
return answer
