-- Renews a node's lease, and looks who else is there and whose grace period is over: whoever is told of a user tells of the going.
--
-- KEYS  [1] leases (zset), [2] leaving (zset)
-- ARGV  [1] node, [2] milliseconds of its lease, [3] 1 where it begins, [4] how many may be told to have gone, at most,
--       [5] until when an expired lease proves anything, and an absence with it
-- returns "gone" where others have taken the node for dead, or "held"; now; those who have gone; each node and when its lease ends,
--         0 for one that is being swept
local leases, leaving = unpack(KEYS)
local node, length, begins, most, trusted = unpack(ARGV)
-- Where a sweep has begun, some of its connections are forgotten already.
if begins ~= '1' and tonumber(redis.call('ZSCORE', leases, node) or '0') == 0 then return { 'gone', tostring(now), {}, {} } end
redis.call('ZADD', leases, now + length, node)
local gone = {}
if now < tonumber(trusted) then
  gone = redis.call('ZRANGEBYSCORE', leaving, '-inf', now, 'LIMIT', 0, most)
  if #gone > 0 then redis.call('ZREM', leaving, unpack(gone)) end
end
return { 'held', tostring(now), gone, redis.call('ZRANGE', leases, 0, -1, 'WITHSCORES') }
