--[[
formats: which versions of Narrows have used this Redis, and which may still.

KEYS[1]  hash {written, needs}: the highest format that was written here, and the oldest that may run here
ARGV     the asking version's format, and the oldest beside which it can run

returns  the oldest format that may run here; nothing is noted of a version that may not

O(1). Caller: worker/formats.py. Undo: none; a person who goes back deletes the key, knowing what was written.
]]

local written, needs = unpack(redis.call('HMGET', KEYS[1], 'written', 'needs'))
local mine = tonumber(ARGV[1])
local needed = math.max(tonumber(needs or 1), tonumber(ARGV[2]))
if needed <= mine then
  redis.call('HSET', KEYS[1], 'written', math.max(tonumber(written or 1), mine), 'needs', needed)
end
return needed
