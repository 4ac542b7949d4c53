--[[
batch: note how far a batch of calls is enqueued.

Runs in one transaction behind enqueue, so that a producer that dies leaves both or neither. A server that
did not know enqueue's script refused it there: the last call has no record then, and nothing is noted.

KEYS[1]  batch, string: how many of its calls are in, from the first one on
KEYS[2]  record of the last of them, hash
ARGV     that number, ms for which it is kept

returns  the number that is noted now

O(1). Caller: worker/bulk/batch_writer.py.
]]

local known, count = tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(ARGV[1])
if count > known and redis.call('EXISTS', KEYS[2]) == 1 then
  known = count
  redis.call('SET', KEYS[1], known, 'PX', ARGV[2])
end
return known
