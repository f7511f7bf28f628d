-- Forgets a connection, and notes that its user leaves where it was the last one.
--
-- KEYS  [1] the user's connections (hash), [2] leases (zset), [3] online (zset), [4] leaving (zset),
--       [5] connections per node (hash), [6] users of the node (set), [7] last seen (zset)
-- ARGV  [1] node, [2] user, [3] socket, [4] grace period in milliseconds, [5] how many are remembered as last seen,
--       [6] 1 where an expired lease proves nothing
-- returns 1 where the user has no connection any more, else 0
local connections, leases, online, leaving, held, users, seen = unpack(KEYS)
local node, user, socket, grace, remembered, doubt = unpack(ARGV)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local left, here = 0, 0
local rows = redis.call('HGETALL', connections)
for place = 1, #rows, 2 do
  local on = string.match(rows[place + 1], '^%d+ (%S+) ')
  local lease = tonumber(redis.call('ZSCORE', leases, on) or '0')
  if rows[place] == socket or lease <= (doubt == '1' and 0 or now) then
    redis.call('HDEL', connections, rows[place])
    if redis.call('HEXISTS', held, on) == 1 then redis.call('HINCRBY', held, on, -1) end
  else
    left = left + 1
    if on == node then here = here + 1 end
  end
end
if here == 0 then redis.call('SREM', users, user) end
if left > 0 or redis.call('ZREM', online, user) == 0 then return 0 end
redis.call('ZADD', seen, now, user)
redis.call('ZREMRANGEBYRANK', seen, 0, -1 - remembered)
redis.call('ZADD', leaving, now + grace, user)
return 1
