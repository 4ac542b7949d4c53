--[[
enqueue: write the records of calls before anything is published.

include policy record submission lot

A call that is to run later waits here, and one that would only stand in line may be parked at once: neither
gets a message. It is, too, when more are queued than the provider could take before workers held them back:
released calls would stand behind those in the broker. Those that are queued came before it, and when they are
held back they come before it in line. A call whose id is there already and has not ended is left as it is:
the second message finds the first one's record. So is a submission, also when it has: it is made once.

KEYS[1..6]  queued, running, waiting, parked, slow, released: zsets of task ids
KEYS[7]     lot hash
ARGV        now ("" for this server's clock), record key prefix, lane, park ("always", "behind" others
            in line, "never": a worker is to see first whether the answer is kept), run at ms ("" for at
            once), not after ms ("" for whenever), how many may be queued (0: any number), base of the
            submissions' keys, then id, message (JSON) and submission (JSON, "" for none) of each call

returns  for each call "queued" when its message is to be published now, "waiting" or "parked" when it is
         to wait here, "known" when the call was there already, "conflict" when its idempotency key
         stands for something else

O(log n) for each. Callers: worker/record.py, worker/bulk/batch_writer.py. Undo: cancel.lua.
]]

local now, prefix, lane, due = clock(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[5])
local indexes = { queued = KEYS[1], running = KEYS[2], waiting = KEYS[3], parked = KEYS[4], slow = KEYS[5],
  released = KEYS[6] }
local later = due and due > now
local room = tonumber(ARGV[7])
local stands = ARGV[4] == 'always' or ARGV[4] == 'behind' and redis.call('ZCARD', KEYS[4]) > 0
  or room > 0 and redis.call('ZCARD', KEYS[1]) >= room
local states, place, parked = {}, nil, 0

for n = 9, #ARGV, 3 do
  local id, key = ARGV[n], prefix .. ARGV[n]
  local noted = ARGV[n + 2] ~= '' and cjson.decode(ARGV[n + 2])
  local known = redis.call('HGET', key, 'state')
  local other
  if noted then other = select(2, submission_first(prefix, ARGV[8], noted, id)) end
  if other then
    states[#states + 1] = 'conflict'
  elseif known and (known ~= 'ended' or redis.call('HEXISTS', key, 'submission') == 1) then
    states[#states + 1] = 'known'
  else
    local state = later and 'waiting' or stands and 'parked' or 'queued'
    if known then redis.call('DEL', key) end
    local token = known and now or 0  -- who hung since its former life holds a token, too
    local fields = { 'state', state, 'token', token, 'message', ARGV[n + 1], 'created_at', now, 'lane', lane }
    local function put(name, value) fields[#fields + 1], fields[#fields + 2] = name, value end
    if ARGV[6] ~= '' then put('expires_at', ARGV[6]) end
    local score = now
    if state == 'parked' then
      if not place then
        local earlier = math.max(0, redis.call('ZCARD', KEYS[1]) - redis.call('ZCARD', KEYS[6]))
        place = lot_keep(KEYS[7], lane, earlier, now)
      end
      place, parked = place + STRIDES[lane], parked + 1
      score = place
      put('place', place)
      put('since', now)
      put('reason', 'line')
    else
      put('published_at', now)
      if later then
        score = due
        put('due_at', due)
      end
    end
    redis.call('HSET', key, unpack(fields))
    if noted then submission_begin(prefix, ARGV[8], noted, id, now) end
    record_index(indexes, id, '', state, score)
    states[#states + 1] = state
  end
end
if parked > 0 then
  redis.call('HSET', KEYS[7], lane, place)
  redis.call('HINCRBY', KEYS[7], 'in_' .. lane, parked)
end
return states
