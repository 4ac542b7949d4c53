--[[
cancel: whatever copy of this call still arrives, it does not run.

include record

KEYS[1..6]  queued, running, waiting, parked, slow, released: zsets of task ids
KEYS[7]     the call's record, hash
ARGV        id, linger ms

returns  {state, message}: the state it was in, "" when there was no record, and the message of a call
         that will not run
         a running call is left to its worker, which hears of it at its next begin

O(log n). Callers: worker/record.py, when publishing failed, on revoke and on expiry.
]]

local f = redis.call('HMGET', KEYS[7], 'state', 'message')
local state = f[1]
if not state then return { '', '' } end
redis.call('HSET', KEYS[7], 'revoked', 1)
if state ~= 'running' then
  redis.call('HSET', KEYS[7], 'state', 'ended')
  redis.call('HDEL', KEYS[7], 'message')
  redis.call('PEXPIRE', KEYS[7], tonumber(ARGV[2]))
  local indexes = { queued = KEYS[1], running = KEYS[2], waiting = KEYS[3], parked = KEYS[4], slow = KEYS[5] }
  record_index(indexes, ARGV[1], state, 'ended')
  redis.call('ZREM', KEYS[6], ARGV[1])
end
return { state, state ~= 'running' and f[2] or '' }
