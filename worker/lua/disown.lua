--[[
disown: put a mark where a token lay that its provider refused.

Only where that very token still lies: another call may have bought the next one meanwhile.

KEYS[1]  the token, string
ARGV     the refused token as it lay there, mark, ms for which the mark stands

returns  1 when the token lay there, else 0

O(1). Caller: worker/auth/token_slot.py. Undo: none needed; the next token takes the mark's place.
]]

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
