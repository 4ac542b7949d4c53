--[[
reseal_letters: dead letters are replaced where they lie by the same ones, sealed with another key.

include letters

KEYS[1]  dead letters, list
ARGV     the last index at which one of them may be, then of each its bytes and those in their place

returns  how many were replaced; one that left or was edited meanwhile is not

One walk to where they lie. Caller: worker/sealing/resealing.py. Undo: itself, with the older key first.
]]

local wanted, missing, set = {}, 0, 0
for n = 2, #ARGV, 2 do
  if not wanted[ARGV[n]] then wanted[ARGV[n]], missing = ARGV[n + 1], missing + 1 end
end
for old, place in pairs(letters_find(KEYS[1], wanted, missing, tonumber(ARGV[1]))) do
  redis.call('LSET', KEYS[1], place, wanted[old])
  set = set + 1
end
return set
