--[[
reseal_audit: entries of an audit stream get other values. Entries cannot be changed, so all are written anew,
in one step and under their own ids: who reads on from an id misses none and sees none twice.

KEYS[1]  audit, stream of some 10,000 entries at most
ARGV     of each entry that changes: its id, how many fields and values, those

returns  how many entries changed; one that is gone meanwhile does not

O(entries), some 50 ms for a full stream. Caller: worker/sealing/resealing.py.
]]

local changed, at, count = {}, 1, 0
while at <= #ARGV do
  local size = tonumber(ARGV[at + 1])
  local fields = {}
  for n = 1, size do fields[n] = ARGV[at + 1 + n] end
  changed[ARGV[at]] = fields
  at = at + 2 + size
end

local entries = redis.call('XRANGE', KEYS[1], '-', '+')
for _, entry in ipairs(entries) do
  if changed[entry[1]] then count = count + 1 end
end
if count == 0 then return 0 end
redis.call('DEL', KEYS[1])
for _, entry in ipairs(entries) do
  redis.call('XADD', KEYS[1], entry[1], unpack(changed[entry[1]] or entry[2]))
end
return count
