--[[
waited: since when does a line wait?

KEYS[1]  parked, zset of task ids
ARGV     record key prefix, how many of the first to look at

returns  ms since epoch when the one of them that waits longest was parked; 0 when nobody stands there

The oldest need not be the first, but among the first 21 every lane that has somebody is seen (see lot.lua).
Writes nothing. O(log n). Caller: worker/snapshot.py.
]]

local oldest = 0
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, tonumber(ARGV[2]) - 1)) do
  local since = tonumber(redis.call('HGET', ARGV[1] .. id, 'since') or 0)
  if since > 0 and (oldest == 0 or since < oldest) then oldest = since end
end
return oldest
