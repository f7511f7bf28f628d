-- Notes a connection, if it may come, and forgets those that make room for it.
-- A connection is kept as: microseconds since 1970, node, device and session ("-" for none), what else is known of it (JSON).
--
-- KEYS  [1] the user's connections (hash), [2] leases (zset), [3] online (zset), [4] leaving (zset),
--       [5] connections per node (hash), [6] users of the node (set)
-- ARGV  [1] node, [2] user, [3] socket, [4] device and session, [5] what else is known, [6] limit, 0 for none,
--       [7] "oldest" or "reject", [8] until when an expired lease proves anything
-- returns "gone" where the node has no lease, "full", or "here", 1 where the user came online, and the sockets that made room
local connections, leases, online, leaving, held, users = unpack(KEYS)
local node, user, socket, session, known, limit, policy, trusted = unpack(ARGV)
-- What waited for an outage to end must not take it for a death.
local least = now < tonumber(trusted) and now or 0

local function lease(name) return tonumber(redis.call('ZSCORE', leases, name) or '0') end
if lease(node) == 0 then return { 'gone' } end

local others, dead, own = {}, {}, nil
local rows = redis.call('HGETALL', connections)
for place = 1, #rows, 2 do
  local at, on, its = string.match(rows[place + 1], '^(%d+) (%S+) (%S+) ')
  local one = { socket = rows[place], at = at, on = on, session = its }
  if one.socket == socket then own = one
  elseif lease(on) > least then table.insert(others, one)
  else table.insert(dead, one) end
end
table.sort(others, function(a, b) return a.at < b.at or (a.at == b.at and a.socket < b.socket) end)

local evicted = {}
while tonumber(limit) > 0 and #others + 1 > tonumber(limit) do
  local place = policy == 'oldest' and 1 or nil
  -- A session that returns takes its own place before anybody else's.
  for candidate = #others, 1, -1 do
    if session ~= '-' and others[candidate].session == session then place = candidate end
  end
  if not place then return { 'full' } end
  table.insert(evicted, table.remove(others, place))
end

-- Written first: where there is no memory for it, nothing else is done either.
local at = own and own.at or (time[1] .. string.format('%06d', time[2]))
redis.call('HSET', connections, socket, at .. ' ' .. node .. ' ' .. session .. ' ' .. known)
local function uncount(on) if redis.call('HEXISTS', held, on) == 1 then redis.call('HINCRBY', held, on, -1) end end
local function forget(list)
  for _, one in ipairs(list) do
    redis.call('HDEL', connections, one.socket)
    uncount(one.on)
  end
end
forget(dead)
forget(evicted)
if own then uncount(own.on) end
redis.call('HINCRBY', held, node, 1)
redis.call('SADD', users, user)
local came = redis.call('ZADD', online, 0, user)
-- Who comes back within the grace period was never told to have gone.
local isBack = redis.call('ZREM', leaving, user)
local answer = { 'here', came > isBack and 1 or 0 }
for _, one in ipairs(evicted) do table.insert(answer, one.socket) end
return answer
