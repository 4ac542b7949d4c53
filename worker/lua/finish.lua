--[[
finish: what came of the call, and what becomes of its record.

include record breaker limits

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
            (success | failure | neutral | throttled), pause ms, failures, window, ratio,
            reset ms, successes, probes, id ("" for no record), token, fate (keep | end | wait |
            dead), wait ms, attempt, backoff ms, reason, dead letter (JSON), linger ms

returns  {moved, fate}
         moved  the breaker's new state, or ""
         fate   as given, or "fenced" when the record is no longer ours

O(log n). Caller: worker/gate.py.
]]

local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end
local nonce, outcome, moved = ARGV[2], ARGV[3], ''
local policy = {
  failures = tonumber(ARGV[5]), window = tonumber(ARGV[6]), ratio = tonumber(ARGV[7]),
  reset_after = tonumber(ARGV[8]), successes = tonumber(ARGV[9]), probes = tonumber(ARGV[10]),
}

if nonce ~= '' and redis.call('ZREM', KEYS[3], nonce) == 1 then
  local was_probe = redis.call('ZREM', KEYS[4], nonce) == 1
  if outcome == 'throttled' then
    limits_cool(KEYS[2], now + tonumber(ARGV[4]))
  elseif outcome ~= 'neutral' then
    moved = breaker_hears(KEYS[1], KEYS[4], policy, was_probe, outcome == 'failure', now)
  end
end
if nonce ~= '' and redis.call('GET', KEYS[9]) == nonce then
  -- who looked for the answer just before it was kept must look again, not fly
  if outcome == 'success' then redis.call('SET', KEYS[9], 'landed', 'PX', 250) else redis.call('DEL', KEYS[9]) end
end

local id, token, fate = ARGV[11], tonumber(ARGV[12]), ARGV[13]
if fate == 'keep' then return { moved, fate } end
local indexes = { queued = KEYS[5], running = KEYS[6], waiting = KEYS[7] }
if id ~= '' then
  if not record_mine(KEYS[8], token) then return { moved, 'fenced' } end
  if fate == 'wait' then
    local due = now + tonumber(ARGV[14])
    redis.call('HSET', KEYS[8], 'state', 'waiting', 'due_at', due, 'attempt', ARGV[15],
      'backoff', ARGV[16], 'reason', ARGV[17])
    if tonumber(ARGV[15]) > 0 then redis.call('HSETNX', KEYS[8], 'first_failed_at', now) end
    record_index(indexes, id, 'waiting', due)
    return { moved, fate }
  end
  record_end(KEYS[8], indexes, id, tonumber(ARGV[19]))
end
if fate == 'dead' then redis.call('RPUSH', KEYS[10], ARGV[18]) end
return { moved, fate }
