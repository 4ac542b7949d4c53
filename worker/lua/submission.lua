--[[
A submission: what the record of a call that changes something outside remembers of it. Included, never
run alone.

  further fields of the record's hash {submission, submission_at, operation, resend, print, digest, details,
        sender, sent_at, doubted, external_id, external_status, polled_at, twin}
       submission  "queued"    no byte of it has left, or what had left did nothing
                   "sending"   let out by the begin of nonce `sender` at sent_at: a byte may have left
                   "accepted"  the provider took it, under external_id
                   "rejected"  the provider refused it
                   "in_doubt"  it was sent, and nobody knows whether it arrived
       doubted     1: it was sent before this time, too, and that may have arrived
       resend      "idempotent", "verify" or "never"
       print       of the idempotency key, "" without one; digest: of the arguments beside it
       twin        this call is no submission but repeats one: its id
  zset   <base>:<state> {id -> since when}, one for each state; those that are decided leave after 30 days
  zset   <base>:open {id -> when it was accepted, or last asked about since}: not settled
  string <base>:key:<print>: the submission of that idempotency key
  string <base>:spent:<print>: how many submissions of that key were called back unsent; 30 days

No state is ever left backwards but by what knows better: the worker that was told that nothing was done, the
provider's own word, or a person.
]]

local MEMORY = 30 * 86400000
local DECIDED = { accepted = true, rejected = true }

local function submission_move(key, base, id, to, now)
  local from = redis.call('HGET', key, 'submission')
  if from and from ~= to then redis.call('ZREM', base .. ':' .. from, id) end
  if from ~= to then redis.call('HSET', key, 'submission', to, 'submission_at', now) end
  if to ~= 'queued' then redis.call('HDEL', key, 'expires_at') end  -- what may have arrived is not too late
  redis.call('ZADD', base .. ':' .. to, 'NX', now, id)
  if DECIDED[to] then redis.call('ZREMRANGEBYSCORE', base .. ':' .. to, '-inf', now - MEMORY) end
end

-- the submission that has this idempotency key already, and whether that one is of something else
local function submission_first(prefix, base, noted, id)
  local first = noted.print ~= '' and redis.call('GET', base .. ':key:' .. noted.print)
  local digest = first and redis.call('HGET', prefix .. first, 'digest')
  if not digest then return end
  return first ~= id and first, digest ~= noted.digest
end

-- a call whose record was written just now is a submission, or the twin of one
local function submission_begin(prefix, base, noted, id, now)
  local key = prefix .. id
  local first = submission_first(prefix, base, noted, id)
  if first then return redis.call('HSET', key, 'twin', first) end
  redis.call('HSET', key, 'operation', noted.operation, 'resend', noted.resend, 'print', noted.print,
    'digest', noted.digest, 'details', noted.details)
  if noted.print ~= '' then redis.call('SET', base .. ':key:' .. noted.print, id) end
  submission_move(key, base, id, 'queued', now)
end

-- the same for one whose record is older than its memory, or whose first was called back unsent
local function submission_known(prefix, base, noted, id, now)
  local f = redis.call('HMGET', prefix .. id, 'submission', 'twin')
  if f[1] or f[2] and redis.call('HEXISTS', prefix .. f[2], 'submission') == 1 then return end
  redis.call('HDEL', prefix .. id, 'twin')
  submission_begin(prefix, base, noted, id, now)
end

-- whether the begin of this nonce may let it out
local function submission_may_leave(key, again, nonce)
  local f = redis.call('HMGET', key, 'submission', 'sender', 'resend', 'twin')
  if f[4] then return false end
  if not f[1] or f[1] == 'queued' then return true end
  if f[1] == 'accepted' or f[1] == 'rejected' then return false end
  return again or f[3] == 'idempotent' or f[1] == 'sending' and f[2] == nonce
end

local function submission_leaves(key, base, id, nonce, again, at, now)
  local from = redis.call('HGET', key, 'submission')
  if not again and (from == 'in_doubt' or from == 'sending') then
    redis.call('HSET', key, 'doubted', 1)
  elseif from ~= 'sending' then
    redis.call('HDEL', key, 'doubted')  -- the provider does not have it, or a person said so
  end
  redis.call('HSET', key, 'sender', nonce, 'sent_at', at)
  submission_move(key, base, id, 'sending', now)
end

-- how long the record of a call that ended is remembered: for good until it is decided and settled
local function submission_rest(key, base, id)
  local f = redis.call('HMGET', key, 'submission', 'print')
  local name = base .. ':key:' .. (f[2] or '')
  if DECIDED[f[1]] and not redis.call('ZSCORE', base .. ':open', id) then
    redis.call('PEXPIRE', key, MEMORY)
    redis.call('PEXPIRE', name, MEMORY)
  else
    redis.call('PERSIST', key)
    redis.call('PERSIST', name)
  end
end

-- it was never sent, and will not be
local function submission_forget(key, base, id)
  local f = redis.call('HMGET', key, 'submission', 'print')
  if not f[1] then return end
  redis.call('ZREM', base .. ':' .. f[1], id)
  local name = base .. ':key:' .. (f[2] or '')
  if redis.call('GET', name) == id then
    redis.call('DEL', name)
    local spent = base .. ':spent:' .. f[2]
    redis.call('INCR', spent)  -- the next one has an id of its own: this one's was revoked
    redis.call('PEXPIRE', spent, MEMORY)
  end
  redis.call('HDEL', key, 'submission', 'submission_at', 'print', 'digest')
end

-- whether a call that was given up may be sent again; otherwise the state that forbids it
local function submission_revive(key, base, id, resolved, now)
  local state = redis.call('HGET', key, 'submission')
  if not state then return end
  if DECIDED[state] and state ~= 'rejected' or state == 'sending' then return state end
  if state == 'in_doubt' and not resolved then
    -- a provider that takes each id once may be sent it again; it stays in doubt until then
    return redis.call('HGET', key, 'resend') ~= 'idempotent' and state or nil
  end
  submission_move(key, base, id, 'queued', now)
  submission_rest(key, base, id)
end
