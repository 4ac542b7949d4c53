--[[
extend: the worker still runs these calls.

include policy

KEYS[1]  running, zset of task ids
ARGV     now ("" for this server's clock), lease ms, record key prefix, then id and token in turn

returns  how many leases were extended; calls that another worker took over are not

O(n log m). Caller: worker/record.py, for the heartbeat of long tasks.
]]

local now = clock(ARGV[1])
local ends, extended = now + tonumber(ARGV[2]), 0
for n = 4, #ARGV, 2 do
  local key = ARGV[3] .. ARGV[n]
  local f = redis.call('HMGET', key, 'state', 'token')
  if f[1] == 'running' and f[2] == ARGV[n + 1] then
    redis.call('HSET', key, 'lease_until', ends)
    redis.call('ZADD', KEYS[1], ends, ARGV[n])
    extended = extended + 1
  end
end
return extended
