--[[
import_settle: the import's manifest is written, and nobody needs to write it any more.

KEYS[1]  the import, hash (see import_enter.lua)
KEYS[2]  how the sink stands, hash (see import_end.lua)
ARGV     ms that the import is kept

returns  nothing

O(1). Caller: tasks/importing/desk.py. Undo: none.
]]

if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'settled', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
if redis.call('HGET', KEYS[2], 'owed') == KEYS[1] then redis.call('HDEL', KEYS[2], 'owed') end
