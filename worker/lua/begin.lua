--[[
begin: may this call go out, when, with which credential, and is it ours to make?

include policy record submission lot breaker limits

The claim, the breaker, the cooldown, the quota, the leases and the bucket are asked in one step,
because a worker that asked them one by one would act on answers that other workers had already
made stale. The claim stands even when the gate holds the call back: who runs a task and whether
a call may leave are two questions. Every check of the gate comes before its first write: a
call held back spends nothing, and the wait it hears is the longest of all that hold it. Only when nothing
else holds the call is it told of other calls' leases (concurrency, in_flight, probing): those end when
the calls do, mostly long before the wait they name, and whoever hears of them polls.

A call that is let out may have to wait for its moment: the bucket is spent ahead, so that each call has a
moment of its own and the provider sees its rate, however unevenly calls arrive here. Who comes while
others stand in line does not overtake them, and while those who left it are under way it only goes when
there is a token to spare; who was released from the line, or has begun its task already, only needs a moment.
Run twice with one nonce it admits once, and says the same moment and credential: the lease tells both.

KEYS[1..3]   breaker hash, leases zset, probes zset
KEYS[4..5]   parked, released: zsets of the provider that is asked
KEYS[6..8]   queued, running, released: zsets of the provider whose task it is
KEYS[9]      lot hash of that provider
KEYS[10]     the call's record, hash      (any name when ARGV id is "")
KEYS[11]     the request's flight, string (any name when ARGV flown is "")
KEYS[12..]   limits hash of each credential
ARGV        now ("" for this server's clock), nonce, policy (see policy.lua), id ("" for a call without
            a record), held token (0: claim it), record lease ms, message ("" when a missing record
            is to be reported), lane of a record that is written here, flown ("1": share the flight),
            patience ms (waits in the slot are not longer), passes ("1": the line is not for it), crowded
            ("1": this process has no slot for it), sends ("first", "again": what is let out may act, again
            when it is known that it did not; "": it cannot), submission of a record that is written
            here (JSON, "" for none), record key prefix, base of the submissions' keys

returns  {verdict, wait ms, token, attempt, backoff ms, created_at, moved, tokens x1000, quota left, now,
          first_failed_at (0: never), throttled_at (0: never), credential, ahead, released}
         verdict  admit | breaker | probing | cooldown | quota | credentials | concurrency | bucket | line
                  | in_flight | duplicate | gone | revoked | fenced | submitted (ours, and not to be sent)
         wait     of an admitted call: how long until it may leave; of a call in line or short of a
                  token: when its own would be there, by the rate alone
         moved    "half_open" when this call is the first probe, else ""
         quota left  -1 without a quota
         credential  its number, from 1
         ahead    calls that stand in line before it
         released  1 when its turn had come

O(log n) in the calls of the provider. Caller: worker/gate.py. Undo: finish.lua.
]]

local now, nonce, policy = clock(ARGV[1]), ARGV[2], policy_read(ARGV[3])
local id, held, flown = ARGV[4], tonumber(ARGV[5]), ARGV[9] == '1'

local record = { token = 0, attempt = 0, backoff = 0, created_at = now, published_at = 0, first_failed_at = 0,
  throttled_at = 0 }
if id ~= '' then
  local verdict
  local indexes = { queued = KEYS[6], running = KEYS[7], released = KEYS[8] }
  verdict, record = record_claim(KEYS[10], indexes, id, held, nonce, tonumber(ARGV[6]), ARGV[7], ARGV[8], now)
  if verdict ~= 'ok' then return { verdict, 0, 0, 0, 0, record.created_at, '', 0, -1, now, 0, 0, 0, 0, 0 } end
  if held == 0 and record.published_at > 0 then
    redis.call('HSET', KEYS[9], 'claimed_through', record.published_at)
  end
  if ARGV[14] ~= '' then
    submission_known(ARGV[15], ARGV[16], cjson.decode(ARGV[14]), id, now)
  end
end

local ahead, others = 0, 0
if ARGV[11] ~= '1' and not record.released then
  ahead = redis.call('ZCARD', KEYS[4])
  others = ahead + lot_under_way(KEYS[5], now)
end
local credential, limits, why, ms, bucket = limits_choose(KEYS, 12, policy, others, now)
local reason, wait, moved = nil, 0, ''
local function hold(by, time)
  if by and (not reason or time > wait) then reason, wait = by, time end
end
local function reply(verdict, time)
  local left = policy.quota > 0 and limits.quota_left or -1
  return { verdict, time, record.token, record.attempt, record.backoff, record.created_at, moved,
    math.floor(limits.tokens * 1000), left, now, record.first_failed_at, record.throttled_at, credential,
    ahead, record.released and 1 or 0 }
end

-- the reply to this begin was lost: a lease is its end, and in 1024ths of a ms the credential
local function repeated(lease)
  local ends = math.floor(lease)
  credential = (lease - ends) * 1024 + 1
  return reply('admit', math.max(0, ends - policy.lease - now))
end

local sends = id ~= '' and ARGV[13] ~= ''
if sends and not submission_may_leave(KEYS[10], ARGV[13] == 'again', nonce) then return reply('submitted', 0) end

local shut, shut_for, probing = breaker_denies(KEYS[1], KEYS[3], policy, now)
if shut == 'breaker' then hold(shut, shut_for) end
hold(why, ms)
local patience = tonumber(ARGV[10])
if record.released then patience = math.max(patience, FORGOTTEN) end
if others > 0 then patience = 0 end
if not reason and ahead > 0 then
  reason = policy.rate > 0 and 'bucket' or 'line'
elseif not reason and bucket > patience then
  reason = 'bucket'
end
if reason then wait = math.max(wait, bucket, 1) end
if not reason and shut then hold(shut, shut_for) end
if not reason and ARGV[12] == '1' then hold('concurrency', 100) end
if not reason and policy.most > 0 and redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf') >= policy.most then
  local first = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
  hold('concurrency', math.ceil(tonumber(first[2])) - now)
end
local flyer = not reason and flown and redis.call('GET', KEYS[11])
-- a call that was lost with its worker left its own flight behind, and must not wait for itself
if flyer and flyer ~= id then hold('in_flight', math.max(redis.call('PTTL', KEYS[11]), 1)) end
if reason then
  local known = redis.call('ZSCORE', KEYS[2], nonce)
  return known and repeated(known) or reply(reason, wait)
end

local lease = now + bucket + policy.lease
if redis.call('ZADD', KEYS[2], 'NX', lease + (credential - 1) / 1024, nonce) == 0 then
  return repeated(redis.call('ZSCORE', KEYS[2], nonce))
end
limits_spend(limits, policy, now)
if sends then
  submission_leaves(KEYS[10], ARGV[16], id, nonce, ARGV[13] == 'again', now + bucket, now)
end
if flown then redis.call('SET', KEYS[11], id ~= '' and id or nonce, 'PX', bucket + policy.lease) end
if probing then
  redis.call('ZADD', KEYS[3], lease, nonce)
  if probing == 'open' then
    redis.call('HSET', KEYS[1], 'state', 'half_open')
    moved = 'half_open'
  end
end
return reply('admit', bucket)
