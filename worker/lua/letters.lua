--[[
Finding letters in a list, taking them out, and noting who did it. Included, never run alone.

Letters are known by their exact bytes. A list is only added to at its end, so a letter never moves but
towards the front: whoever saw it at an index finds it there or before. All that leave are marked first
and swept out by one LREM: however long the list is, a page costs one walk to where it lies. What is read
on the way there grows with the page: a letter may have a megabyte.
]]

local LEAST, WINDOW, AUDITED, TAKEN = 20, 200, 10000, '\1taken'

-- the index of each letter of `wanted` (its keys, `missing` of them) that is there; `near` is the last index
-- at which one may be, below 0 when nobody knows
local function letters_find(list, wanted, missing, near)
  local places, length = {}, redis.call('LLEN', list)
  local known = near >= 0
  local step = known and math.min(WINDOW, math.max(LEAST, 2 * missing)) or WINDOW
  local low = known and math.min(near, length - 1) - step + 1 or 0
  while missing > 0 and low < length and low > -step do
    local from, high = math.max(low, 0), low + step - 1
    local page = redis.call('LRANGE', list, from, high)
    for n = #page, 1, -1 do
      if wanted[page[n]] and not places[page[n]] then
        places[page[n]], missing = from + n - 1, missing - 1
      end
    end
    if known then step = math.min(WINDOW, 2 * step) end
    low = low + (known and -step or step)
  end
  return places
end

local function letters_take(list, places)
  if #places == 0 then return end
  for _, place in ipairs(places) do redis.call('LSET', list, place, TAKEN) end
  local front = math.max(unpack(places)) < redis.call('LLEN', list) - math.min(unpack(places))
  redis.call('LREM', list, front and #places or -#places, TAKEN)
end

local function letters_note(stream, now, by, action, ids, ...)
  if #ids == 0 then return end
  redis.call('XADD', stream, 'MAXLEN', '~', AUDITED, '*', 'at', now, 'by', by, 'action', action,
    'ids', cjson.encode(ids), ...)
end
