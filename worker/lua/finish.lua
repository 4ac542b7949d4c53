--[[
finish: what came of the call, and what becomes of its record.

include policy record submission lot breaker limits budget

One step, so that no worker sees a call that is over while its record still runs. Each half may
be left out: a task's second call reports the first and keeps the record; a task that was
answered from the cache ends its record and reports nothing. A report counts once: the lease
tells. A record that another worker took over is left alone.

KEYS[1..5]   breaker hash, limits hash of the credential that was used, leases zset, probes zset, budget hash
KEYS[6..11]  queued, running, waiting, parked, slow, released: zsets of task ids
KEYS[12]     lot hash
KEYS[13]     the call's record, hash      (any name when ARGV id is "")
KEYS[14]     the request's flight, string (any name when no flight was shared)
KEYS[15]     dead letters, list
ARGV        now ("" for this server's clock), nonce ("" for no report), outcome
            (success | failure | neutral | throttled | refused), pause ms, calls left as the provider said
            (-1: it did not), ms for which they must do, policy (see policy.lua), flown ("1": it shared its
            flight), id ("" for no record), token, fate (keep | end | wait | park | retry | dead), wait ms,
            attempt, backoff ms, reason, dead letter (JSON), linger ms, recorded ("1": its producer wrote
            the record), silent ("1": no result will tell that it ended), submission (the state it is
            in now, "" for the one it was in), base of the submissions' keys

returns  {moved, fate}
         moved  the breaker's new state, or ""
         fate   as given, or "fenced" when the record is no longer ours, "revoked" when it was
                meanwhile and does not wait, or "slow" for a retry beyond the
                budget, or before the turn of those that wait for it

A throttled call keeps its place and is parked; the pause is the provider's. O(log n). Caller: worker/gate.py.
]]

local now, nonce, outcome, moved = clock(ARGV[1]), ARGV[2], ARGV[3], ''
local policy = policy_read(ARGV[7])
local made = false

local left = tonumber(ARGV[5])
local lease = (outcome == 'throttled' or left >= 0) and redis.call('ZSCORE', KEYS[3], nonce)

-- how many calls are under way, with the same credential where that makes a difference (see begin)
local function in_flight()
  local all = redis.call('ZCOUNT', KEYS[3], now, '+inf')
  if left > all + policy.burst then return all end
  local own = 0
  for n, score in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], now, '+inf', 'WITHSCORES')) do
    if n % 2 == 0 and tonumber(score) % 1 == tonumber(lease) % 1 then own = own + 1 end
  end
  return own
end

if nonce ~= '' and redis.call('ZREM', KEYS[3], nonce) == 1 then
  made = true
  budget_count(KEYS[5], 'c', 1, now)
  local pause = tonumber(ARGV[4])
  if outcome == 'success' or outcome == 'failure' then
    moved = breaker_hears(KEYS[1], KEYS[4], policy, nonce, outcome == 'failure', now)
    if outcome == 'success' then limits_answered(KEYS[2], policy, now) end
  else
    redis.call('ZREM', KEYS[4], nonce)
    if outcome == 'throttled' then
      limits_throttled(KEYS[2], policy, now + pause, math.floor(lease) - policy.lease, now)
    end
    if outcome == 'refused' then redis.call('HSET', KEYS[2], 'refused_until', now + pause) end
  end
  if left >= 0 then limits_told(KEYS[2], policy, left, now + tonumber(ARGV[6]), in_flight(), now) end
end
local id = ARGV[9]
if ARGV[8] == '1' and redis.call('GET', KEYS[14]) == (id ~= '' and id or nonce) then
  -- who looked for the answer just before it was kept must look again, not fly
  if outcome == 'success' then
    redis.call('SET', KEYS[14], 'landed', 'PX', 250)
  else
    redis.call('DEL', KEYS[14])
  end
end

local token, fate = tonumber(ARGV[10]), ARGV[11]
local indexes = { queued = KEYS[6], running = KEYS[7], waiting = KEYS[8], parked = KEYS[9], slow = KEYS[10],
  released = KEYS[11] }

local function wait_until(from, state, due)
  redis.call('HSET', KEYS[13], 'state', state, 'due_at', due, 'reason', ARGV[15], 'since', now)
  record_index(indexes, id, from, state, due)
end

local function settle()
  if fate == 'keep' then return fate end
  if id ~= '' then
    local mine, from, copied, submission = record_mine(KEYS[13], token, ARGV[18] == '1')
    if not mine then return 'fenced' end
    local told = ARGV[20]
    if told == '' and submission == 'sending' and fate == 'dead' then told = 'in_doubt' end
    -- what was sent before this attempt may have arrived
    if told == 'queued' and redis.call('HEXISTS', KEYS[13], 'doubted') == 1 then told = 'in_doubt' end
    if told ~= '' and from and submission ~= 'accepted' then
      submission = told
      submission_move(KEYS[13], ARGV[21], id, submission, now)
    end
    local stays = fate == 'wait' or fate == 'park' or fate == 'retry'
    if stays and redis.call('HEXISTS', KEYS[13], 'revoked') == 1 then
      if not submission or submission == 'queued' then
        submission_forget(KEYS[13], ARGV[21], id)
        record_end(KEYS[13], indexes, id, from, true, tonumber(ARGV[17]))
        return 'revoked'
      end
      redis.call('HDEL', KEYS[13], 'revoked')  -- what may have arrived cannot be called back
    end
    if from and stays then
      redis.call('HSET', KEYS[13], 'attempt', ARGV[13], 'backoff', ARGV[14])
      if made then redis.call('HSET', KEYS[13], 'losses', 0) end  -- it was made, and the worker lives
      if outcome == 'throttled' then redis.call('HSETNX', KEYS[13], 'throttled_at', now) end
      if fate == 'park' then
        lot_park(KEYS[13], indexes, KEYS[12], id, from, ARGV[15], now)
      elseif fate == 'wait' then
        wait_until(from, 'waiting', now + tonumber(ARGV[12]))
      else
        redis.call('HSETNX', KEYS[13], 'first_failed_at', now)
        -- who failed before and waits for the budget is not overtaken
        if budget_room(KEYS[5], policy, now) - redis.call('ZCOUNT', KEYS[10], '-inf', now) < 1 then
          redis.call('HSET', KEYS[13], 'lane', 'replay')
          redis.call('HDEL', KEYS[13], 'place')
          wait_until(from, 'slow', now + tonumber(ARGV[12]))
          return 'slow'
        end
        budget_count(KEYS[5], 'r', 1, now)
        wait_until(from, 'waiting', now + tonumber(ARGV[12]))
      end
      return fate
    end
    if from == 'parked' then lot_left(KEYS[12], lot_lane(redis.call('HGET', KEYS[13], 'lane')), 1) end
    record_end(KEYS[13], indexes, id, from, copied or submission or ARGV[19] == '1', tonumber(ARGV[17]))
    if fate == 'end' and submission == 'queued' then  -- revoked before it was sent
      submission_forget(KEYS[13], ARGV[21], id)
    elseif submission then
      submission_rest(KEYS[13], ARGV[21], id)
    end
  end
  if fate == 'dead' then redis.call('RPUSH', KEYS[15], ARGV[16]) end
  return fate
end

return { moved, settle() }
