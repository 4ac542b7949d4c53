--[[
claim: is this call ours to run?

include policy record submission

What begin does first, alone: for a task that may be answered from the cache without a begin, and whose
next steps a second copy would start again.

KEYS[1..3]  queued, running, released: zsets of task ids
KEYS[4]     the call's record, hash
ARGV        now ("" for this server's clock), nonce, id, record lease ms, message ("" when a missing
            record is to be reported), lane of a record that is written here, its submission (JSON, see
            worker/submissions/ledger.py; "" for none), record key prefix, base of the submissions' keys

returns  {verdict, token, attempt, backoff ms, created_at, first_failed_at, throttled_at, now, released}
         verdict   ok | duplicate | gone | revoked
         released  1 when its turn had come

O(log n). Caller: worker/gate.py.
]]

local now = clock(ARGV[1])
local indexes = { queued = KEYS[1], running = KEYS[2], released = KEYS[3] }
local verdict, record = record_claim(KEYS[4], indexes, ARGV[3], 0, ARGV[2], tonumber(ARGV[4]), ARGV[5], ARGV[6],
  now)
if verdict == 'ok' and ARGV[7] ~= '' then
  submission_known(ARGV[8], ARGV[9], cjson.decode(ARGV[7]), ARGV[3], now)
end
local token = verdict == 'ok' and record.token or 0
return { verdict, token, record.attempt, record.backoff, record.created_at, record.first_failed_at,
  record.throttled_at, now, record.released and 1 or 0 }
