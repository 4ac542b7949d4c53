--[[
cancel: whatever copy of this call still arrives, it does not run.

include record lot

KEYS[1..6]  queued, running, waiting, parked, slow, released: zsets of task ids
KEYS[7..8]  lot hash; the call's record, hash
ARGV        id, linger ms

returns  {state, message}: the state it was in, "" when there was no record, and the message of a call
         that will not run
         a running call is left to its worker, which hears of it at its next begin

O(log n). Callers: worker/record.py, when publishing failed, on revoke and on expiry.
]]

local f = redis.call('HMGET', KEYS[8], 'state', 'message', 'lane')
local state = f[1]
if not state then return { '', '' } end
redis.call('HSET', KEYS[8], 'revoked', 1)
if state ~= 'running' then
  if state == 'parked' then lot_left(KEYS[7], lot_lane(f[3]), 1) end
  redis.call('HSET', KEYS[8], 'state', 'ended')
  redis.call('HDEL', KEYS[8], 'message')
  redis.call('PEXPIRE', KEYS[8], tonumber(ARGV[2]))
  local indexes = { queued = KEYS[1], running = KEYS[2], waiting = KEYS[3], parked = KEYS[4], slow = KEYS[5] }
  record_index(indexes, ARGV[1], state, 'ended')
  redis.call('ZREM', KEYS[6], ARGV[1])
end
return { state, state ~= 'running' and f[2] or '' }
