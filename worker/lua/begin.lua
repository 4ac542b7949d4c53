--[[
begin: may this call go out now, and is it ours to make?

include policy record breaker limits

The claim, the breaker, the cooldown, the quota, the leases and the bucket are asked in one step,
because a worker that asked them one by one would act on answers that other workers had already
made stale. The claim stands even when the gate holds the call back: who runs a task and whether
a call may leave are two questions. Every check of the gate comes before its first write: a
call held back spends nothing, and the wait it hears is the longest of all that hold it, so that
whoever comes back after it, first in line, is admitted. Only when nothing else holds the call is it told
of other calls' leases (concurrency, in_flight; probing too): those end when the calls do, mostly long
before the wait they name, and whoever hears of them polls. Run twice with one nonce, it admits once.

KEYS[1..4]  breaker hash, limits hash, leases zset, probes zset
KEYS[5..7]  queued, running, waiting: zsets of task ids
KEYS[8]     the call's record, hash      (any name when ARGV id is "")
KEYS[9]     the request's flight, string (any name when ARGV flown is "")
ARGV        now ("" for this server's clock), nonce, policy (see policy.lua), id ("" for a call without
            a record), held token (0: claim it), record lease ms, message ("" when a missing record
            is to be reported), flown ("1": share the flight)

returns  {verdict, wait ms, token, attempt, backoff ms, created_at, moved, tokens x1000, quota left, now,
          first_failed_at (0: never)}
         verdict  admit | breaker | probing | cooldown | quota | concurrency | bucket | in_flight
                  | duplicate | gone | revoked | fenced
         moved    "half_open" when this call is the first probe, else ""
         quota left  -1 without a quota

O(log n) in the calls of the provider. Caller: worker/gate.py. Undo: finish.lua.
]]

local now, nonce, policy = clock(ARGV[1]), ARGV[2], policy_read(ARGV[3])
local id, flown = ARGV[4], ARGV[8] == '1'

local record = { token = 0, attempt = 0, backoff = 0, created_at = now, published_at = 0, first_failed_at = 0 }
if id ~= '' then
  local verdict
  local indexes = { queued = KEYS[5], running = KEYS[6], waiting = KEYS[7] }
  verdict, record = record_claim(KEYS[8], indexes, id, tonumber(ARGV[5]), nonce, tonumber(ARGV[6]), ARGV[7], now)
  if verdict ~= 'ok' then return { verdict, 0, 0, 0, 0, record.created_at, '', 0, -1, now, 0 } end
end

local limits = limits_read(KEYS[2], policy, now)
local reason, wait = 'admit', 0
local function hold(why, ms)
  if why and ms > wait then reason, wait = why, ms end
end
local function reply(verdict, ms, moved)
  local left = policy.quota > 0 and policy.quota - limits.quota_used or -1
  return { verdict, ms, record.token, record.attempt, record.backoff, record.created_at, moved,
    math.floor(limits.tokens * 1000), left, now, record.first_failed_at }
end

local why, ms, probing = breaker_denies(KEYS[1], KEYS[4], policy, now)
hold(why, ms)
hold('cooldown', limits.cooldown_until - now)
hold('quota', quota_wait(limits, policy, now))
hold('bucket', bucket_wait(limits, policy))
if wait == 0 and policy.most > 0 and redis.call('ZCOUNT', KEYS[3], '(' .. now, '+inf') >= policy.most then
  hold('concurrency', tonumber(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. now, '+inf', 'WITHSCORES',
    'LIMIT', 0, 1)[2]) - now)
end
local flyer = wait == 0 and flown and redis.call('GET', KEYS[9])
-- a call that was lost with its worker left its own flight behind, and must not wait for itself
if flyer and flyer ~= id then hold('in_flight', math.max(redis.call('PTTL', KEYS[9]), 1)) end
if wait > 0 and redis.call('ZSCORE', KEYS[3], nonce) then return reply('admit', 0, '') end
if wait > 0 then return reply(reason, wait, '') end

if redis.call('ZADD', KEYS[3], 'NX', now + policy.lease, nonce) == 0 then return reply('admit', 0, '') end
limits.claimed_through = math.max(limits.claimed_through, record.published_at)
limits_spend(KEYS[2], limits, policy, now)
if flown then redis.call('SET', KEYS[9], id ~= '' and id or nonce, 'PX', policy.lease) end
if not probing then return reply('admit', 0, '') end
redis.call('ZADD', KEYS[4], now + policy.lease, nonce)
if probing ~= 'open' then return reply('admit', 0, '') end
redis.call('HSET', KEYS[1], 'state', 'half_open')
return reply('admit', 0, 'half_open')
