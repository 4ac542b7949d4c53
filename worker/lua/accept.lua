--[[
accept: the provider took a submission.

include policy submission

The provider's word stands whoever heard it: a worker that had lost its claim says it too. What was in doubt is
not any more. Run twice it does the same.

KEYS[1]     the call's record, hash
ARGV        now ("" for this server's clock), id, base of the submissions' keys, external id, external
            status, details (JSON; "" leaves them), open ("1": it is to be asked about)

returns  {state, external id}: those it was in before; of one that was accepted under another id already
         the first id stays

O(log n). Caller: worker/submissions/ledger.py.
]]

local now, id, base = clock(ARGV[1]), ARGV[2], ARGV[3]
local f = redis.call('HMGET', KEYS[1], 'submission', 'external_id', 'state')
if f[1] == 'accepted' and f[2] ~= ARGV[4] then return { f[1], f[2] } end
redis.call('HSET', KEYS[1], 'external_id', ARGV[4], 'external_status', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'details', ARGV[6]) end
if ARGV[7] == '1' and f[1] ~= 'accepted' then redis.call('ZADD', base .. ':open', 'NX', now, id) end
submission_move(KEYS[1], base, id, 'accepted', now)
if not f[3] then redis.call('HSET', KEYS[1], 'state', 'ended') end
if (f[3] or 'ended') == 'ended' then submission_rest(KEYS[1], base, id) end
return { f[1] or '', f[2] or '' }
