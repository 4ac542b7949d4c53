--[[
unasked: since when has nobody asked about an open submission?

KEYS[1]  open submissions, zset {id -> when it was last asked about, 0 for never}
ARGV     record key prefix, how many of those that nobody asked about yet are looked at

returns  ms since epoch of the oldest word of any of them: when it was last asked about or, when nobody did
         yet, accepted; 0 when none is open

Those that nobody asked about have no order among them; an idle poller shows by the others, too.
Writes nothing. O(log n). Callers: worker/snapshot.py, worker/ledger.py.
]]

local asked = redis.call('ZRANGEBYSCORE', KEYS[1], '(0', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local oldest = tonumber(asked[2] or 0)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, 0, 'LIMIT', 0, tonumber(ARGV[2]))) do
  local since = tonumber(redis.call('HGET', ARGV[1] .. id, 'submission_at') or 0)
  if since > 0 and (oldest == 0 or since < oldest) then oldest = since end
end
return oldest
