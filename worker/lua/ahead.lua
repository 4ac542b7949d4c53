--[[
ahead: does anybody wait whose lane goes before that of this call?

include record lot

Of those that stand in line the lot knows it; of the others, whose messages are under way or lie in the broker
because no worker has room, the first ones are looked at, which are who waits longest.

KEYS[1]  queued, zset of task ids
KEYS[2]  lot, hash
KEYS[3]  the call's record, hash
ARGV     record key prefix, how many of the queued ones

returns  1 or 0

O(n) of those looked at. Caller: worker/record.py. Undo: none, it writes nothing.
]]

local own = STRIDES[lot_lane(redis.call('HGET', KEYS[3], 'lane'))]
for lane, stride in pairs(STRIDES) do
  if stride < own and tonumber(redis.call('HGET', KEYS[2], 'in_' .. lane) or 0) > 0 then return 1 end
end
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1)) do
  if STRIDES[lot_lane(redis.call('HGET', ARGV[1] .. id, 'lane'))] < own then return 1 end
end
return 0
