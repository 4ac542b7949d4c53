--[[
The parking lot: who waits for a provider, and in which order they leave. Included, never run alone.

  parked zset {id -> place}: the lowest place leaves first
  hash {now, interactive, batch, replay, in_interactive, in_batch, in_replay, kept_interactive, kept_batch,
        kept_replay, releaser, releaser_until, claimed_through}
       now              the highest place that has left
       interactive …    the last place given in each lane
       in_interactive … how many of it stand in line; with the last of them its last place is forgotten, or
                        the lane would pay for calls that were revoked
       kept_interactive … "<place> <last> <since>": places kept for calls that were published before the
                        first was enqueued into the line, at `since`, and that workers hold back later
       releaser         the worker that looks most often, until releaser_until; any other takes over then
       claimed_through  publishing time of the call that was claimed last
  released zset {id -> when}: published since, and not yet seen by a worker
  slow zset {id -> when}: failed, beyond the retry budget; parked again when the budget has room

Places are the finish tags of self-clocked fair queueing (S. J. Golestani, "A self-clocked fair queueing
scheme for broadband applications", INFOCOM 1994): a lane's next place is one stride behind its last one, or
behind what leaves now. So of 21 calls that leave while all lanes are full 16 are interactive, 4 batch and
1 replay; an empty lane costs the others nothing; and in a lane the first is the first.
A call keeps its place until it ends: whoever was held back again stands in front again. Only who has had its
turn, done something that is safe and comes back for more, takes a new one (Gate.forgive).
]]

local STRIDES = { interactive = 1, batch = 4, replay = 16 }
local KEPT = 100  -- a lane pays for places that nobody takes
local FORGOTTEN = 1000  -- ms after which a released call that nobody began is not waited for

local function lot_lane(name) return STRIDES[name] and name or 'interactive' end

-- the place after which the lane's next one comes
local function lot_last(lot, lane)
  local f = redis.call('HMGET', lot, 'now', lane)
  return math.max(tonumber(f[1] or 0), tonumber(f[2] or 0))
end

-- `count` of the lane stand in line no more
local function lot_left(lot, lane, count)
  if redis.call('HINCRBY', lot, 'in_' .. lane, -count) <= 0 then
    redis.call('HDEL', lot, lane, 'in_' .. lane, 'kept_' .. lane)
  end
end

-- the place after which a call is enqueued into the line: behind `earlier` calls that may yet join it
local function lot_keep(lot, lane, earlier, now)
  local place = lot_last(lot, lane)
  local last = place + STRIDES[lane] * math.min(earlier, KEPT)
  if last == place then return place end
  local kept = redis.call('HSETNX', lot, 'kept_' .. lane, string.format('%d %d %d', place, last, now))
  return kept == 1 and last or place
end

-- the place kept for a call that came at `created`, if there is one
local function lot_kept(lot, lane, created)
  local kept = redis.call('HGET', lot, 'kept_' .. lane)
  if not kept then return end
  local place, last, since = string.match(kept, '(%d+) (%d+) (%d+)')
  place, last = tonumber(place) + STRIDES[lane], tonumber(last)
  if created > tonumber(since) or place > last then return end
  redis.call('HSET', lot, 'kept_' .. lane, string.format('%d %d %d', place, last, since))
  return place
end

-- a call that does not stand there
local function lot_park(key, keys, lot, id, from, reason, now)
  local f = redis.call('HMGET', key, 'place', 'lane', 'created_at')
  local lane = lot_lane(f[2])
  local place = f[1] or from == 'running' and lot_kept(lot, lane, tonumber(f[3] or now))
  if not place then
    place = lot_last(lot, lane) + STRIDES[lane]
    redis.call('HSET', lot, lane, place)
  end
  redis.call('HINCRBY', lot, 'in_' .. lane, 1)
  redis.call('HSET', key, 'state', 'parked', 'place', place, 'reason', reason, 'since', now)
  record_index(keys, id, from, 'parked', place)
end

-- calls on their way from the lot to a worker
local function lot_under_way(released, now)
  return redis.call('ZCOUNT', released, now - FORGOTTEN, now)
end
