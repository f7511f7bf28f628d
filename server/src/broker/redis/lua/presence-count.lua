-- How many users are online, and how many connections they have to nodes believed alive.
--
-- KEYS  [1] leases (zset), [2] online (zset), [3] connections per node (hash)
-- ARGV  [1] until when an expired lease proves anything
-- returns users, connections
local leases, online, held = unpack(KEYS)
local least = now < tonumber(ARGV[1]) and now or 0
local connections = 0
local rows = redis.call('HGETALL', held)
for place = 1, #rows, 2 do
  if tonumber(redis.call('ZSCORE', leases, rows[place]) or '0') > least then connections = connections + rows[place + 1] end
end
return { redis.call('ZCARD', online), connections }
