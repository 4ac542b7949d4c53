--[[
A call's record, shared by all scripts. Included, never run alone.

  hash {state, message, token, owner, attempt, backoff, losses, publishes, lane, place, released,
        created_at, published_at, first_failed_at, throttled_at, lease_until, due_at, since, expires_at,
        reason, bare, copied, revoked}
       state    "queued"   a message for it should be in the broker
                "running"  a worker holds it until lease_until
                "waiting"  backing off, or not to run before due_at; no message anywhere
                "parked"   in line for its provider; no message anywhere
                "slow"     failed, and the retry budget is spent; no message anywhere
                "ended"    kept for a while so that late copies are known
       token    fencing token, one higher with each claim; who holds an older
                one has lost the call and changes nothing
       publishes  copies sent since the last claim
       owner    nonce of the begin that claimed it, so that a begin repeated
                after a lost reply finds its own claim
       message  JSON, all that is needed to publish the call again
       lane     "interactive" (or absent), "batch", "replay"; place: in line, see lot.lua
       released 1 while it is queued because its turn has come
The index that matches the state has the id: queued, running, waiting, parked or slow.
]]

local function record_index(keys, id, from, to, score)
  if from ~= to and keys[from] then redis.call('ZREM', keys[from], id) end
  if keys[to] then redis.call('ZADD', keys[to], score, id) end
end

-- returns verdict, fields; `new` of them when the record was written here
local function record_claim(key, keys, id, held, nonce, lease, message, lane, now)
  local f = redis.call('HMGET', key, 'state', 'token', 'owner', 'revoked', 'attempt', 'backoff',
    'created_at', 'published_at', 'first_failed_at', 'throttled_at', 'released')
  local record = {
    token = tonumber(f[2] or 0), attempt = tonumber(f[5] or 0), backoff = tonumber(f[6] or 0),
    created_at = tonumber(f[7] or now), published_at = tonumber(f[8] or 0),
    first_failed_at = tonumber(f[9] or 0), throttled_at = tonumber(f[10] or 0), released = f[11],
  }
  if not f[1] then
    if held > 0 then return 'fenced', record end
    if message == '' then return 'gone', record end
    redis.call('HSET', key, 'message', message, 'created_at', now, 'published_at', 0, 'bare', 1, 'lane', lane)
    record.new = true
  elseif f[1] == 'running' and record.token ~= held then
    if f[3] ~= nonce then return held > 0 and 'fenced' or 'duplicate', record end
    return 'ok', record
  elseif f[4] then
    return 'revoked', record
  elseif f[1] == 'running' then
    redis.call('HSET', key, 'lease_until', now + lease)
    redis.call('ZADD', keys.running, now + lease, id)
    return 'ok', record
  elseif f[1] ~= 'queued' then
    return 'duplicate', record
  elseif held > 0 then
    return 'fenced', record
  end
  record.token = record.token + 1
  redis.call('HSET', key, 'state', 'running', 'token', record.token, 'owner', nonce, 'publishes', 0,
    'lease_until', now + lease, 'since', now)
  if record.released then
    redis.call('ZREM', keys.released, id)
    redis.call('HDEL', key, 'released')
  end
  record_index(keys, id, f[1], 'running', now + lease)
  return 'ok', record
end

-- whether the holder of `token` may still change the record (0: it was never claimed), its state,
-- and whether late copies of it must be known by a tombstone: its producer wrote no record, or copies
-- of its message were published; and what it is as a submission, see submission.lua
local function record_mine(key, token, recorded)
  local f = redis.call('HMGET', key, 'state', 'token', 'bare', 'copied', 'submission')
  if not f[1] then return token == 0 and not recorded, nil, true end
  local mine = f[1] ~= 'running' and f[1] ~= 'ended'
  if token > 0 then mine = f[1] == 'running' and tonumber(f[2]) == token end
  return mine, f[1], f[3] or f[4], f[5]
end

local function record_end(key, keys, id, from, tombstone, linger)
  record_index(keys, id, from, 'ended')
  if from ~= 'running' then redis.call('ZREM', keys.released, id) end
  if tombstone then
    redis.call('HSET', key, 'state', 'ended')
    redis.call('HDEL', key, 'message', 'revoked')  -- who was answered is not revoked by a late copy
    redis.call('PEXPIRE', key, linger)
  else
    redis.call('DEL', key)
  end
end
