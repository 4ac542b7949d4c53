--[[
cancel: whatever copy of this call still arrives, it does not run.

include record submission lot

KEYS[1..6]  queued, running, waiting, parked, slow, released: zsets of task ids
KEYS[7..8]  lot hash; the call's record, hash
ARGV        id, linger ms, base of the submissions' keys

returns  {state, message}: the state it was in, "" when there was no record, and the message of a call
         that will not run
         a running call is left to its worker, which hears of it at its next begin; a submission that
         may have been sent stays what it is, and one that was accepted only ends

O(log n). Callers: worker/record.py, when publishing failed, on revoke and on expiry.
]]

local f = redis.call('HMGET', KEYS[8], 'state', 'message', 'lane', 'submission')
local state, submission = f[1], f[4]
if not state then return { '', '' } end
if submission and (state == 'ended' or submission ~= 'queued' and submission ~= 'accepted') then
  return { state, '' }
end
if submission ~= 'accepted' then redis.call('HSET', KEYS[8], 'revoked', 1) end
if state ~= 'running' then
  if state == 'parked' then lot_left(KEYS[7], lot_lane(f[3]), 1) end
  redis.call('HSET', KEYS[8], 'state', 'ended')
  redis.call('HDEL', KEYS[8], 'message')
  redis.call('PEXPIRE', KEYS[8], tonumber(ARGV[2]))
  local indexes = { queued = KEYS[1], running = KEYS[2], waiting = KEYS[3], parked = KEYS[4], slow = KEYS[5] }
  record_index(indexes, ARGV[1], state, 'ended')
  redis.call('ZREM', KEYS[6], ARGV[1])
  if submission == 'queued' then submission_forget(KEYS[8], ARGV[3], ARGV[1]) end
  if submission == 'accepted' then submission_rest(KEYS[8], ARGV[3], ARGV[1]) end
end
local ran = state == 'running' or submission == 'accepted'
return { state, ran and '' or f[2] or '' }
