--[[
finish: what came of the call, and what becomes of its record.

include policy record breaker limits

One step, so that no worker sees a call that is over while its record still runs. Each half may
be left out: a task's second call reports the first and keeps the record; a task that was
answered from the cache ends its record and reports nothing. A report counts once: the lease
tells. A record that another worker took over is left alone.

KEYS[1..4]  breaker hash, limits hash, leases zset, probes zset
KEYS[5..7]  queued, running, waiting: zsets of task ids
KEYS[8]     the call's record, hash      (any name when ARGV id is "")
KEYS[9]     the request's flight, string (any name when no flight was shared)
KEYS[10]    dead letters, list
ARGV        now ("" for this server's clock), nonce ("" for no report), outcome
            (success | failure | neutral | throttled), pause ms, policy (see policy.lua), flown
            ("1": it shared its flight), id ("" for no record), token, fate (keep | end | wait |
            dead), wait ms, attempt, backoff ms, reason, dead letter (JSON), linger ms, recorded ("1":
            its producer wrote the record), silent ("1": no result will tell that it ended)

returns  {moved, fate}
         moved  the breaker's new state, or ""
         fate   as given, or "fenced" when the record is no longer ours

O(log n). Caller: worker/gate.py.
]]

local now, nonce, outcome, moved = clock(ARGV[1]), ARGV[2], ARGV[3], ''

if nonce ~= '' and redis.call('ZREM', KEYS[3], nonce) == 1 then
  if outcome == 'success' or outcome == 'failure' then
    moved = breaker_hears(KEYS[1], KEYS[4], policy_read(ARGV[5]), nonce, outcome == 'failure', now)
  else
    redis.call('ZREM', KEYS[4], nonce)
    if outcome == 'throttled' then limits_cool(KEYS[2], now + tonumber(ARGV[4])) end
  end
end
local id = ARGV[7]
if ARGV[6] == '1' and redis.call('GET', KEYS[9]) == (id ~= '' and id or nonce) then
  -- who looked for the answer just before it was kept must look again, not fly
  if outcome == 'success' then redis.call('SET', KEYS[9], 'landed', 'PX', 250) else redis.call('DEL', KEYS[9]) end
end

local token, fate = tonumber(ARGV[8]), ARGV[9]
if fate == 'keep' then return { moved, fate } end
local indexes = { queued = KEYS[5], running = KEYS[6], waiting = KEYS[7] }
if id ~= '' then
  local mine, from, copied = record_mine(KEYS[8], token, ARGV[16] == '1')
  if not mine then return { moved, 'fenced' } end
  if fate == 'wait' and from then
    local due = now + tonumber(ARGV[10])
    redis.call('HSET', KEYS[8], 'state', 'waiting', 'due_at', due, 'attempt', ARGV[11],
      'backoff', ARGV[12], 'reason', ARGV[13], 'losses', 0)
    if tonumber(ARGV[11]) > 0 then redis.call('HSETNX', KEYS[8], 'first_failed_at', now) end
    record_index(indexes, id, from, 'waiting', due)
    return { moved, fate }
  end
  record_end(KEYS[8], indexes, id, from, copied or ARGV[17] == '1', tonumber(ARGV[15]))
end
if fate == 'dead' then redis.call('RPUSH', KEYS[10], ARGV[14]) end
return { moved, fate }
