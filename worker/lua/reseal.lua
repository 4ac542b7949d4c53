--[[
reseal: records get the same message, sealed with another key.

A record that has moved on is left as it is, whatever state it is in: its message is compared and set, no more.

KEYS[1..]  records, hashes
ARGV       for each of them the SHA-1 (hex) of its message as it was read, and the message in its place

returns  how many were set

O(bytes). Caller: worker/sealing/resealing.py. Undo: itself, with the older key first.
]]

local set = 0
for n, key in ipairs(KEYS) do
  local message = redis.call('HGET', key, 'message')
  if message and redis.sha1hex(message) == ARGV[2 * n - 1] then
    redis.call('HSET', key, 'message', ARGV[2 * n])
    set = set + 1
  end
end
return set
