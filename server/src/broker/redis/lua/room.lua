-- Put before publish.lua: makes room in a mailbox.
--
-- box  the mailbox's log (its key), count, held (bytes), trimmed (offset), earliest and latest (when entries expire); changed in place

local function isFull(box, bytes)
  return box.count + 1 > limits.messages or box.held + bytes > limits.bytes
end

local function drop(box, entry)
  redis.call('XDEL', box.log, entry[1])
  box.count = box.count - 1
  box.held = box.held - number(entry[2][2])
  box.changed = true
end

-- Drops what has expired among the oldest entries, which would otherwise push out what has not.
local function clean(box)
  if box.latest <= now and box.count > 0 then
    redis.call('DEL', box.log)
    box.count, box.held, box.earliest, box.latest, box.changed = 0, 0, 0, 0, true
  elseif box.earliest <= now then
    for _, entry in ipairs(redis.call('XRANGE', box.log, '-', '+', 'COUNT', limits.looked)) do
      if number(entry[2][4]) <= now then drop(box, entry) end
    end
    box.earliest = now
  end
end

-- Drops the oldest entries until `bytes` more fit.
local function trim(box, bytes)
  while box.count > 0 and isFull(box, bytes) do
    local oldest = redis.call('XRANGE', box.log, '-', '+', 'COUNT', 1)[1]
    if not oldest then
      box.count, box.held = 0, 0
      return
    end
    drop(box, oldest)
    -- What had expired was not removed by a limit.
    if number(oldest[2][4]) > now then box.trimmed = tonumber(string.match(oldest[1], '^%d+')) end
  end
end
