--[[
The parking lot: who waits for a provider, and in which order they leave. Included, never run alone.

  parked zset {id -> place}: the lowest place leaves first
  hash {now, interactive, batch, replay, in_interactive, in_batch, in_replay, releaser, releaser_until,
        claimed_through}
       now              the highest place that has left
       interactive …    the last place given in each lane
       in_interactive … how many of it stand in line; with the last of them its last place is forgotten, or
                        the lane would pay for calls that were revoked
       releaser         the worker that looks most often, until releaser_until; any other takes over then
       claimed_through  publishing time of the call that was claimed last
  released zset {id -> when}: published since, and not yet seen by a worker
  slow zset {id -> when}: failed, beyond the retry budget; parked again when the budget has room

Places are the finish tags of self-clocked fair queueing (S. J. Golestani, "A self-clocked fair queueing
scheme for broadband applications", INFOCOM 1994): a lane's next place is one stride behind its last one, or
behind what leaves now. So of 21 calls that leave while all lanes are full 16 are interactive, 4 batch and
1 replay; an empty lane costs the others nothing; and in a lane the first is the first.
A call keeps its place until it ends: whoever was held back again stands in front again.
]]

local STRIDES = { interactive = 1, batch = 4, replay = 16 }
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
    redis.call('HDEL', lot, lane, 'in_' .. lane)
  end
end

-- a call that does not stand there
local function lot_park(key, keys, lot, id, from, reason, now)
  local f = redis.call('HMGET', key, 'place', 'lane')
  local place, lane = f[1], lot_lane(f[2])
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
  return redis.call('ZCOUNT', released, now - FORGOTTEN, '+inf')
end
