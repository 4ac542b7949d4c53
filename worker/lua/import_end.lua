--[[
import_end: the import is whole; the next one into the same sink goes on where it ended.

Said again, it changes nothing.

KEYS[1]  the import, hash (see import_enter.lua)
KEYS[2]  rows of it that the next one may meet again, set of digests
KEYS[3]  the watermark of data set and sink, string: a moment in UTC whose text order is its time order
KEYS[4]  the delivered rows that belong to it, set of digests
KEYS[5]  which import goes on from it just now, string: its id
ARGV     run, id, the import's moment ("" when no other goes on from it)

returns  1; 0 when the run is over

O(rows that were remembered before). Caller: tasks/importing/desk.py. Undo: none.
]]

if redis.call('HGET', KEYS[1], 'run') ~= ARGV[1] then return 0 end
if redis.call('HGET', KEYS[1], 'ended') == '1' then return 1 end

redis.call('HSET', KEYS[1], 'ended', '1')
if redis.call('GET', KEYS[5]) == ARGV[2] then redis.call('DEL', KEYS[5]) end
if ARGV[3] ~= '' and ARGV[3] >= (redis.call('GET', KEYS[3]) or '') then
  redis.call('SET', KEYS[3], ARGV[3])
  redis.call('UNLINK', KEYS[4])
  if redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('RENAME', KEYS[2], KEYS[4])
    redis.call('PERSIST', KEYS[4])
  end
else
  redis.call('UNLINK', KEYS[2])
end
return 1
