--[[
letters_remove: dead letters leave their list for good.

include policy letters

KEYS[1..2]  dead letters, list; audit, stream
ARGV        now ("" for this server's clock), who removes them, why (action of the audit entry), last index
            at which one of the letters may be (-1: anywhere), then bytes and id of each letter

returns  how many were there

O(n) in the page, and one walk through the list to it. Callers: worker/deadletters.py, worker/exporting.py. Undo: none.
]]

local wanted, missing = {}, 0
for n = 5, #ARGV, 2 do
  if not wanted[ARGV[n]] then wanted[ARGV[n]], missing = true, missing + 1 end
end
local places = letters_find(KEYS[1], wanted, missing, tonumber(ARGV[4]))
local taken, gone = {}, {}
for n = 5, #ARGV, 2 do
  if places[ARGV[n]] then
    taken[#taken + 1], gone[#gone + 1] = places[ARGV[n]], ARGV[n + 1]
    places[ARGV[n]] = nil
  end
end
letters_take(KEYS[1], taken)
letters_note(KEYS[2], clock(ARGV[1]), ARGV[2], ARGV[3], gone)
return #taken
