--[[
resolve: a person says what became of a submission that is in doubt.

include policy submission letters

Its dead letter leaves in the same step, so none is left that somebody could replay, and none is gone without
a decision. One that is still being asked about has no letter: its call goes on when its turn comes, and finds
what was decided. Sent again, the call of a letter stands in line by letters_replay.lua instead.

KEYS[1..3]  the call's record, hash; dead letters, list; audit, stream
ARGV        now ("" for this server's clock), id, base of the submissions' keys, decision ("accepted",
            "rejected" or "queued": it is to be sent again), external id of an accepted one, open ("1": it is
            to be asked about), who decides, lives ("1": its call has not ended, as far as the caller saw),
            then bytes of each of its letters

returns  "resolved"; "running": a worker is at it just now; "moved": record or letters are not what the caller
         saw, nothing was done; "" without a submission; otherwise the state that it is in, when that is not
         in_doubt

What was accepted under that very external id before is resolved once more: whoever was killed behind this
step does all again. O(n) in the length of the list, for each letter. Caller: worker/submissions/ledger.py. Undo: none.
]]

local now, id, base, decision = clock(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local f = redis.call('HMGET', KEYS[1], 'submission', 'external_id', 'state')
local lives = f[3] and f[3] ~= 'ended'
local again = f[1] == 'accepted' and decision == 'accepted' and f[2] == ARGV[5]
if f[1] ~= 'in_doubt' and not again then return f[1] or '' end
if f[3] == 'running' and not again then return 'running' end
if (lives and '1' or '') ~= ARGV[8] or decision == 'queued' and not lives then return 'moved' end
local places = {}
for n = 9, #ARGV do
  local found = redis.call('LPOS', KEYS[2], ARGV[n], 'COUNT', 0)
  if #found == 0 then return 'moved' end
  for _, place in ipairs(found) do places[#places + 1] = place end
end

letters_take(KEYS[2], places)
if not again then
  if decision == 'accepted' then
    redis.call('HSET', KEYS[1], 'external_id', ARGV[5])
    if ARGV[6] == '1' then redis.call('ZADD', base .. ':open', 'NX', 0, id) end
  end
  submission_move(KEYS[1], base, id, decision, now)
  if not lives then submission_rest(KEYS[1], base, id) end
end
if not again or #places > 0 then
  letters_note(KEYS[3], now, ARGV[7], 'resolve ' .. (decision == 'queued' and 'resend' or decision), { id })
end
return 'resolved'
