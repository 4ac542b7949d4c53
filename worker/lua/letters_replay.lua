--[[
letters_replay: dead letters leave their list, and their calls stand in line again under their own ids.

include policy record submission lot letters

One step for each page, so that a letter is in the list or its call in the line, never both and never
neither, whoever is killed. Nothing is published: the releaser lets them out behind live calls. A call that
lives again is left to itself; a submission is only sent again when nothing of it can have arrived.

KEYS[1..6]  queued, running, waiting, parked, slow, released: zsets of task ids
KEYS[7..9]  lot hash; dead letters, list; audit, stream
ARGV        now ("" for this server's clock), record key prefix, base of the submissions' keys, who replays,
            last index at which one of the letters may be (-1: anywhere), resolved ("1": a person has decided
            that what is in doubt is sent again), then of each letter: its bytes, the call's id, its message
            (JSON), submission (JSON, "" for none), "1" when it died in doubt

returns  for each letter "parked", or why its call is not: "known" (it lives, or its idempotency key stands for
         another submission), "gone" (the letter is not there), "accepted" (the provider has it: the letter
         left, too), "in_doubt" (a person decides)

O(log n) for each call, and one walk through the list to its letters. Caller: worker/letters/deadletter.py.
Undo: a call that fails again is a dead letter again; cancel.lua.
]]

local now, prefix, base, by = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local resolved = ARGV[6] == '1'
local indexes = { queued = KEYS[1], running = KEYS[2], waiting = KEYS[3], parked = KEYS[4], slow = KEYS[5],
  released = KEYS[6] }
local FORMER = { 'attempt', 'backoff', 'losses', 'publishes', 'owner', 'place', 'released', 'first_failed_at',
  'throttled_at', 'lease_until', 'due_at', 'expires_at', 'published_at', 'revoked', 'bare' }

-- why the call may not stand in line; nothing when its record is ready for it
local function forbidden(id, key, noted, doubt)
  local f = redis.call('HMGET', key, 'state', 'submission', 'twin', 'token')
  if f[1] and f[1] ~= 'ended' then return 'known' end
  noted = noted ~= '' and cjson.decode(noted)
  if f[2] then
    local why = submission_revive(key, base, id, resolved, now)
    if why then return why == 'sending' and 'in_doubt' or why end
    if noted then redis.call('HSET', key, 'digest', noted.digest, 'details', noted.details) end
  elseif doubt then
    return 'in_doubt'
  elseif noted and not f[3] and select(2, submission_first(prefix, base, noted, id)) then
    return 'known'
  end
  if f[2] or f[3] then
    redis.call('HDEL', key, unpack(FORMER))
    redis.call('PERSIST', key)
  elseif f[1] then
    redis.call('DEL', key)
  end
  if f[1] then redis.call('HSET', key, 'copied', 1) end  -- late copies of its former life may come
  if noted and not f[2] and not f[3] then submission_begin(prefix, base, noted, id, now) end
  -- a worker that hung since then holds a token, too, and must not be taken for the next one
  redis.call('HSET', key, 'token', math.max(now, tonumber(f[4] or 0) + 1))
end

local wanted, missing = {}, 0
for n = 7, #ARGV, 5 do
  if not wanted[ARGV[n]] then wanted[ARGV[n]], missing = true, missing + 1 end
end
local places = letters_find(KEYS[8], wanted, missing, tonumber(ARGV[5]))
local words, taken, moved = {}, {}, {}
for n = 7, #ARGV, 5 do
  local raw, id = ARGV[n], ARGV[n + 1]
  local key, word = prefix .. id, 'gone'
  if places[raw] then
    word = forbidden(id, key, ARGV[n + 3], ARGV[n + 4] == '1') or 'parked'
    if word == 'parked' then
      redis.call('HSET', key, 'message', ARGV[n + 2], 'created_at', now, 'lane', 'replay')
      lot_park(key, indexes, KEYS[7], id, '', 'line', now)
    end
    if word == 'parked' or word == 'accepted' then
      taken[#taken + 1], moved[#moved + 1], places[raw] = places[raw], id, nil
    end
  end
  words[#words + 1] = word
end
letters_take(KEYS[8], taken)
letters_note(KEYS[9], now, by, resolved and 'resolve resend' or 'replay', moved)
return words
