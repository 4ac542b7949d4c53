--[[
tick: may this beat start what is due, and if so, note that it did.

A beat that was stopped between looking and starting (a paused machine, a long swap) finds that another
one holds the lock by now, which starts the same. So the lock is looked at in the step that takes the tick:
it is started once, or, when its beat dies right after, not at all.

KEYS[1]  the lock, string: its holder's token (see lease.lua)
KEYS[2]  redbeat's entry, hash {definition, meta}
KEYS[3]  redbeat's schedule, zset: entry -> when it is due, seconds since the epoch
ARGV     token, meta (JSON: last run, number of runs), entry as it stands in the schedule, next due

returns  1 when the tick is ours, 0 when the lock is not

O(log n) in the entries. Caller: worker/beat.py. Undo: none; the next tick is the next.
]]

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'meta', ARGV[2])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[3])
return 1
