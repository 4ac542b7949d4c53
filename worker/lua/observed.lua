--[[
observed: what a provider says of a submission that it took some time ago.

include policy submission

KEYS[1]     the call's record, hash
ARGV        now ("" for this server's clock), id, base of the submissions' keys, external status, closed ("1":
            it will not change any more), known ("": the provider did not say anything of it)

returns  {changed, old status}: changed is 1 when the status is another one than before

O(log n). Caller: worker/submissions/ledger.py.
]]

local now, id, base, status = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
if redis.call('HGET', KEYS[1], 'submission') ~= 'accepted' then
  redis.call('ZREM', base .. ':open', id)
  return { 0, '' }
end
redis.call('ZADD', base .. ':open', 'XX', now, id)
redis.call('HSET', KEYS[1], 'polled_at', now)
if ARGV[6] == '' then return { 0, '' } end
local old = redis.call('HGET', KEYS[1], 'external_status') or ''
redis.call('HSET', KEYS[1], 'external_status', status)
if ARGV[5] == '1' then redis.call('ZREM', base .. ':open', id) end
redis.call('ZADD', base .. ':accepted', 'XX', now, id)  -- remembered for 30 days from now
if redis.call('HGET', KEYS[1], 'state') == 'ended' then submission_rest(KEYS[1], base, id) end
return { old ~= status and 1 or 0, old }
