--[[
release: whose turn is it?

include policy record lot breaker limits budget

Calls whose wait is over, and failed ones that the retry budget has room for, join the line; from its front
as many leave as the gate will let out within the horizon: breaker, cooldown, quota, bucket and the workers'
slots, less those under way. Who leaves is queued from then on, so no two workers release one call, and if
this caller dies before it publishes, the reconciler finds the call.

One worker looks often, the others once in a while, so that a fleet costs Redis no more than a worker does;
a worker that is gone is followed by another within a second.

KEYS[1..3]   breaker hash, leases zset, probes zset
KEYS[4..8]   queued, waiting, parked, slow, released: zsets of task ids
KEYS[9..11]  lot hash, workers zset ("name/slots" -> until when), budget hash
KEYS[12..]   limits hash of each credential
ARGV        now ("" for this server's clock), policy (see policy.lua), record key prefix, worker, its slots
            for this provider (0: it does not serve it), horizon ms, most

returns  {word, look again in ms, then for each call id, message, kind}
         word  "follow" when another worker looks, else what holds the first in line longest, "" for nothing
         look again  when that ends, where it can be known, else as often as it is worth
         kind  "due" | "expired" (its time is over: nothing is to be published)

O(log n) per call returned. Caller: worker/releaser.py, every worker.
]]

local now, policy, prefix, worker = clock(ARGV[1]), policy_read(ARGV[2]), ARGV[3], ARGV[4]
local horizon, most = tonumber(ARGV[6]), tonumber(ARGV[7])
local indexes = { queued = KEYS[4], waiting = KEYS[5], parked = KEYS[6], slow = KEYS[7], released = KEYS[8] }
local lot, idle, soon = KEYS[9], 500, 5
local apart = horizon / 10  -- so much of the horizon is given for looking seldom

redis.call('ZREMRANGEBYSCORE', KEYS[10], '-inf', now)
if tonumber(ARGV[5]) > 0 then redis.call('ZADD', KEYS[10], now + 5000, worker .. '/' .. ARGV[5]) end
local leads = redis.call('HMGET', lot, 'releaser', 'releaser_until')
local led = math.min(tonumber(leads[2] or 0), now + 1000)  -- a clock set back must not prolong a lease
if led ~= tonumber(leads[2] or 0) then led = 0 end
if leads[1] and leads[1] ~= worker and led > now then return { 'follow', math.max(50, led - now) } end
if leads[1] ~= worker or led < now + 700 then
  redis.call('HSET', lot, 'releaser', worker, 'releaser_until', now + 1000)
end

-- whether there may be more
local function join(index, from, limit)
  local ids = redis.call('ZRANGEBYSCORE', index, '-inf', now, 'LIMIT', 0, limit)
  for _, id in ipairs(ids) do
    local f = redis.call('HMGET', prefix .. id, 'state', 'reason')
    if f[1] then
      lot_park(prefix .. id, indexes, lot, id, from, f[2] or 'line', now)
    else
      redis.call('ZREM', index, id)
    end
  end
  return #ids == most
end

local more = join(indexes.waiting, 'waiting', most)
if redis.call('ZCARD', indexes.slow) > 0 then
  local room = math.min(most, budget_room(KEYS[11], policy, now),
    redis.call('ZCOUNT', indexes.slow, '-inf', now))
  if room > 0 then
    more = join(indexes.slow, 'slow', room) or more
    budget_count(KEYS[11], 'r', room, now)
  end
end

local under_way = lot_under_way(indexes.released, now)
local room, bounds = most, {}
local function limit(by, count, ms)
  room = math.max(0, math.min(room, count))
  bounds[#bounds + 1] = { by, count, ms }
end

local shut, shut_for, probing = breaker_denies(KEYS[1], KEYS[3], policy, now)
if shut then
  limit(shut, 0, shut == 'breaker' and shut_for or 50)
elseif probing then
  limit('probing', policy.probes - redis.call('ZCARD', KEYS[3]) - under_way, 50)
end

-- what fits into the buckets within the horizon, and how soon one more will
local usable, fits, next_fits, rates, holds, held_for = 0, 0, math.huge, 0, nil, 0
for n = 12, #KEYS do
  local limits = limits_read(KEYS[n], policy, now)
  local why, ms = limits_held(limits, now)
  if why then
    if not holds or ms < held_for then holds, held_for = why, ms end
  else
    local tokens = limits.rate == 0 and math.huge or limits.tokens + limits.rate * horizon + SLACK
    local whole = math.max(0, math.floor(tokens))
    fits, usable = fits + math.min(whole, limits.quota_left), usable + 1
    if whole < limits.quota_left and limits.rate > 0 then
      next_fits, rates = math.min(next_fits, (whole + 1 - tokens) / limits.rate), rates + limits.rate
    end
  end
end
if usable > 0 then
  limit('bucket', fits - under_way, soon)
elseif holds ~= 'quota' or policy.quota_fails == 0 then
  limit(holds, 0, held_for)
end  -- else they leave, to be given up

local slots, serving = 0, {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[10], 0, -1)) do
  local name, count = string.match(member, '^(.*)/(%d+)$')
  slots, serving[name] = slots + tonumber(count), true
end
local running = redis.call('ZCOUNT', KEYS[2], '(' .. now, '+inf')
if policy.most > 0 then limit('concurrency', policy.most - running - under_way, 20) end
if slots - running - under_way < room then
  -- a worker that was killed leaves leases behind, which hold no slot of those that live
  running = 0
  for _, nonce in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. now, '+inf')) do
    if serving[string.match(nonce, '^[^.-]+')] then running = running + 1 end
  end
end
limit('concurrency', slots - running - under_way, slots == 0 and idle or 20)
limit('concurrency', 2 * slots + 16 - redis.call('ZCARD', indexes.released), 100)

local left, last, gone_from = {}, 0, {}
local function leave(id, place)
  local key = prefix .. id
  local f = redis.call('HMGET', key, 'message', 'expires_at', 'lane')
  if not f[1] then
    redis.call('ZREM', indexes.parked, id)
    return 0
  end
  local lane = lot_lane(f[3])
  last, gone_from[lane] = math.max(last, tonumber(place)), (gone_from[lane] or 0) + 1
  redis.call('HSET', key, 'state', 'queued', 'published_at', now, 'released', 1)
  record_index(indexes, id, 'parked', 'queued', now)
  local expired = f[2] and tonumber(f[2]) <= now
  if not expired then redis.call('ZADD', indexes.released, now, id) end
  for _, value in ipairs({ id, f[1], expired and 'expired' or 'due' }) do left[#left + 1] = value end
  return expired and 0 or 1
end

local gone, seen = 0, 0
while gone < room and seen < 2 * most do
  local batch = redis.call('ZRANGE', indexes.parked, 0, room - gone - 1, 'WITHSCORES')
  if #batch == 0 then break end
  for n = 1, #batch, 2 do
    gone, seen = gone + leave(batch[n], batch[n + 1]), seen + 1
  end
end
if last > tonumber(redis.call('HGET', lot, 'now') or 0) then redis.call('HSET', lot, 'now', last) end
for lane, count in pairs(gone_from) do lot_left(lot, lane, count) end

local word, again = '', soon
if redis.call('ZCARD', indexes.parked) > 0 then
  for _, bound in ipairs(bounds) do
    local by, count, ms = bound[1], bound[2], bound[3]
    if by == 'bucket' then
      ms = rates > 0 and math.max(apart, next_fits + (under_way + gone - fits) / rates) or idle
    end
    if count <= gone and (word == '' or ms > again) then word, again = by, ms end
  end
else
  for lane in pairs(STRIDES) do redis.call('HDEL', lot, lane, 'in_' .. lane, 'kept_' .. lane) end
  again = idle
  for _, index in ipairs({ indexes.waiting, indexes.slow }) do
    local first = redis.call('ZRANGE', index, 0, 0, 'WITHSCORES')
    if first[2] and tonumber(first[2]) > now then again = math.min(again, tonumber(first[2]) - now) end
  end
end
if more then again = soon end
local answer = { word, math.min(math.ceil(again), idle) }
for _, value in ipairs(left) do answer[#answer + 1] = value end
return answer
