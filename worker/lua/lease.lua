--[[
lease: may this process do what only one may do at a time?

Taken when nobody has it, renewed when it is ours, given back when it is ours and ARGV asks for no time.
Who was slower than its lease hears so at the next renewal, and stops.

KEYS[1]  the lease, string: its holder's token
ARGV     token, ms (0: give it back), "1" to renew only: what was lost meanwhile is not taken again

returns  1 when it is ours, or was; 0 when another holds it

O(1). Caller: worker/lease.py. Undo: itself with 0, or time.
]]

local held = redis.call('GET', KEYS[1])
if held and held ~= ARGV[1] or not held and ARGV[3] == '1' then return 0 end
if tonumber(ARGV[2]) == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
