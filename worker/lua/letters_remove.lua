--[[
letters_remove: dead letters leave their list for good.

include policy submission letters

With a letter that is thrown away goes what it speaks of: a submission that was never sent, and will not be.

KEYS[1..2]  dead letters, list; audit, stream
ARGV        now ("" for this server's clock), who removes them, why (action of the audit entry), last index
            at which one of the letters may be (-1: anywhere), record key prefix ("" when they are kept
            elsewhere), base of the submissions' keys, then bytes and id of each letter

returns  how many were there

O(n) in the page, and one walk through the list to it. Undo: none.
Callers: worker/letters/deadletter.py, worker/letters/exporting.py.
]]

local FORGOTTEN_FOR = 600000  -- ms for which late copies of such a call are known

local wanted, missing = {}, 0
for n = 7, #ARGV, 2 do
  if not wanted[ARGV[n]] then wanted[ARGV[n]], missing = true, missing + 1 end
end
local places = letters_find(KEYS[1], wanted, missing, tonumber(ARGV[4]))
local taken, gone = {}, {}
for n = 7, #ARGV, 2 do
  if places[ARGV[n]] then
    taken[#taken + 1], gone[#gone + 1] = places[ARGV[n]], ARGV[n + 1]
    places[ARGV[n]] = nil
  end
end
letters_take(KEYS[1], taken)
if ARGV[5] ~= '' then
  for _, id in ipairs(gone) do
    local key = ARGV[5] .. id
    local f = redis.call('HMGET', key, 'state', 'submission')
    if f[1] == 'ended' and f[2] == 'queued' then
      submission_forget(key, ARGV[6], id)
      redis.call('PEXPIRE', key, FORGOTTEN_FOR)
    end
  end
end
letters_note(KEYS[2], clock(ARGV[1]), ARGV[2], ARGV[3], gone)
return #taken
