--[[
enqueue: write a call's record before its message is published.

include policy record

A call that is to run later waits here and gets no message. A call whose id is there already and has not
ended is left as it is: the second message finds the first one's record.

KEYS[1..3]  queued, running, waiting: zsets of task ids
KEYS[4]     the call's record, hash
ARGV        now ("" for this server's clock), id, message (JSON), run at ms ("" for at once)

returns  "queued" when its message is to be published now, "waiting" when it is to wait here, "known" when
         the call was there already

O(log n). Caller: worker/record.py. Undo: cancel.lua.
]]

local now = clock(ARGV[1])
local id, due = ARGV[2], tonumber(ARGV[4])
local known = redis.call('HGET', KEYS[4], 'state')
if known and known ~= 'ended' then return 'known' end
redis.call('DEL', KEYS[4])
local state, score = 'queued', now
if due and due > now then state, score = 'waiting', due end
redis.call('HSET', KEYS[4], 'state', state, 'message', ARGV[3], 'created_at', now,
  'published_at', now, 'due_at', score)
record_index({ queued = KEYS[1], running = KEYS[2], waiting = KEYS[3] }, id, '', state, score)
return state
