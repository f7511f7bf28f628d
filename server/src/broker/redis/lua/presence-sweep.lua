-- Forgets connections of a dead node, and notes that users leave who had no others.
--
-- KEYS  [1] leases (zset), [2] online (zset), [3] leaving (zset), [4] connections per node (hash), [5] last seen (zset),
--       [6] users of the dead node (set), then the connections (hash) of some of them
-- ARGV  [1] the dead node, [2] when it was last there, [3] milliseconds from then until its users have gone, [4] how many are remembered
--       as last seen, [5] until when an expired lease proves anything, then these users
-- returns how many of its users are left, or -1 where it is alive
local leases, online, leaving, held, seen, users = unpack(KEYS, 1, 6)
local dead, seenAt, grace, remembered, trusted = unpack(ARGV, 1, 5)
local least = now < tonumber(trusted) and now or 0
local lease = redis.call('ZSCORE', leases, dead)
if lease and tonumber(lease) > least then return -1 end
-- From here on it must not go on as if nothing had happened.
if lease then redis.call('ZADD', leases, 0, dead) end

for number = 1, #KEYS - 6 do
  local connections, user = KEYS[6 + number], ARGV[5 + number]
  local left, forgotten = 0, {}
  local rows = redis.call('HGETALL', connections)
  for place = 1, #rows, 2 do
    local on = string.match(rows[place + 1], '^%d+ (%S+) ')
    if on == dead or not redis.call('ZSCORE', leases, on) then table.insert(forgotten, rows[place])
    else left = left + 1 end
  end
  if left == 0 and redis.call('ZREM', online, user) == 1 then
    redis.call('ZADD', leaving, seenAt + grace, user)
    redis.call('ZADD', seen, math.min(now, seenAt), user)
  end
  for _, socket in ipairs(forgotten) do redis.call('HDEL', connections, socket) end
  redis.call('SREM', users, user)
end
redis.call('ZREMRANGEBYRANK', seen, 0, -1 - remembered)
local left = redis.call('SCARD', users)
if left == 0 then
  redis.call('ZREM', leases, dead)
  redis.call('HDEL', held, dead)
end
return left
