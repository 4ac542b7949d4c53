--[[
letters_edit: one dead letter is replaced by another where it lies, unless it has changed or left meanwhile.

include policy letters

KEYS[1..2]  dead letters, list; audit, stream
ARGV        now ("" for this server's clock), who edits it, last index at which it may be (-1: anywhere), its
            bytes, id, its new bytes, arguments before and after (JSON)

returns  1 when it was replaced, 0 when that very letter is not there

One walk through the list to it. Caller: worker/letters/deadletter.py. Undo: itself; the stream has the arguments.
]]

local places = letters_find(KEYS[1], { [ARGV[4]] = true }, 1, tonumber(ARGV[3]))
local place = places[ARGV[4]]
if not place then return 0 end
redis.call('LSET', KEYS[1], place, ARGV[6])
letters_note(KEYS[2], clock(ARGV[1]), ARGV[2], 'edit', { ARGV[5] }, 'before', ARGV[7], 'after', ARGV[8])
return 1
