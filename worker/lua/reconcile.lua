--[[
reconcile: which calls does nobody run that somebody should?

include policy record

Two kinds: the worker's lease ran out; the message is gone. A message counts as gone
when its call is older than the grace and younger calls were claimed before it, or more calls are
queued than the broker holds messages. A wrong guess costs one copy, which its claim drops. Who
is returned here is queued again from now on, so no two workers return one call, and if this
caller dies before it publishes, the same rule finds the call again.

KEYS[1..2]  queued, running: zsets of task ids
KEYS[3]     lot hash, read for claimed_through
KEYS[4..5]  leases, cleared of those that ran out, and released: zsets
ARGV        now ("" for this server's clock), record key prefix, most, grace ms, messages in the
            broker, losses in a row that end a call, unclaimed copies that do

returns  a flat list of id, message, kind, token
         kind   "lost" | "unclaimed" | "poison" | "doubt"
                a poison call is claimed for this caller with `token`: it killed too many workers; so is
                one in doubt: it was lost while it may have been on its way to a provider that takes it twice

O(log n) per call returned, at most `most` of each kind. Caller: worker/reconciler.py, every worker.
]]

local now = clock(ARGV[1])
local prefix, most, grace = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local depth = tonumber(ARGV[5])
local fatal = { losses = tonumber(ARGV[6]), publishes = tonumber(ARGV[7]) }
local indexes = { queued = KEYS[1], running = KEYS[2] }
local found = {}
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now)

local function take(id, from, kind, count)
  local key = prefix .. id
  local f = redis.call('HMGET', key, 'message', 'submission', 'resend')
  local message = f[1]
  if not message then
    redis.call('ZREM', KEYS[5], id)
    return record_index(indexes, id, from, 'ended')
  end
  local token, counted = 0, redis.call('HINCRBY', key, count, 1)
  local doubt = kind == 'lost' and f[2] == 'sending' and f[3] ~= 'idempotent' and counted < fatal[count]
  if doubt or counted >= fatal[count] then
    kind, token = doubt and 'doubt' or 'poison', redis.call('HINCRBY', key, 'token', 1)
    redis.call('HSET', key, 'state', 'running', 'lease_until', now + 3 * grace)
    redis.call('HDEL', key, 'released')
    redis.call('ZREM', KEYS[5], id)
    record_index(indexes, id, from, 'running', now + 3 * grace)
  elseif kind == 'unclaimed' then
    -- its own age stays, or the next claim would make the whole backlog look overtaken; and each copy
    -- waits twice as long as the last
    redis.call('HSET', key, 'copied', 1)
    record_index(indexes, id, from, 'queued', now + grace * (2 ^ counted - 2))
  else
    redis.call('HSET', key, 'state', 'queued', 'published_at', now, 'copied', 1)
    record_index(indexes, id, from, 'queued', now)
  end
  for _, value in ipairs({ id, message, kind, token }) do found[#found + 1] = value end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', indexes.running, '-inf', now, 'LIMIT', 0, most)) do
  take(id, 'running', 'lost', 'losses')
end
local claimed = tonumber(redis.call('HGET', KEYS[3], 'claimed_through') or 0)
local missing = redis.call('ZCARD', indexes.queued) - #found / 4 - depth
local overtaken = math.min(now - grace, claimed - grace)
local old = redis.call('ZRANGEBYSCORE', indexes.queued, '-inf', now - grace, 'WITHSCORES', 'LIMIT', 0, most)
for n = 1, #old, 2 do
  local gone = (n + 1) / 2 <= missing
  if gone or tonumber(redis.call('HGET', prefix .. old[n], 'published_at') or 0) < overtaken then
    take(old[n], 'queued', 'unclaimed', 'publishes')
  end
end
return found
