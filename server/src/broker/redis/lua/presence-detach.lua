-- Forgets a connection, and notes that its user leaves where it was the last one.
--
-- KEYS  [1] the user's connections (hash), [2] leases (zset), [3] online (zset), [4] leaving (zset),
--       [5] connections per node (hash), [6] users of the node (set), [7] last seen (zset)
-- ARGV  [1] node, [2] user, [3] socket, [4] grace period in milliseconds, [5] how many are remembered as last seen,
--       [6] until when an expired lease proves anything
-- returns 1 where the user has no connection any more, else 0
local connections, leases, online, leaving, held, users, seen = unpack(KEYS)
local node, user, socket, grace, remembered, trusted = unpack(ARGV)
local least = now < tonumber(trusted) and now or 0

local left, here, forgotten = 0, 0, {}
local rows = redis.call('HGETALL', connections)
for place = 1, #rows, 2 do
  local on = string.match(rows[place + 1], '^%d+ (%S+) ')
  if rows[place] == socket or tonumber(redis.call('ZSCORE', leases, on) or '0') <= least then
    table.insert(forgotten, { socket = rows[place], on = on })
  else
    left = left + 1
    if on == node then here = here + 1 end
  end
end
local isLast = left == 0 and redis.call('ZSCORE', online, user)
if isLast then
  -- Written first: where there is no memory for it, nothing else is done either.
  redis.call('ZADD', leaving, now + grace, user)
  redis.call('ZADD', seen, now, user)
  redis.call('ZREMRANGEBYRANK', seen, 0, -1 - remembered)
  redis.call('ZREM', online, user)
end
for _, one in ipairs(forgotten) do
  redis.call('HDEL', connections, one.socket)
  if redis.call('HEXISTS', held, one.on) == 1 then redis.call('HINCRBY', held, one.on, -1) end
end
if here == 0 then redis.call('SREM', users, user) end
return isLast and 1 or 0
