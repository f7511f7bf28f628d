-- Where users are connected, on nodes believed alive, and when they were last seen.
--
-- KEYS  [1] leases (zset), [2] last seen (zset), then the connections (hash) of each user
-- ARGV  [1] until when an expired lease proves anything, then each user
-- returns for each user a list: last seen or "", then each socket and what is kept of it
local leases, seen = KEYS[1], KEYS[2]
local least = now < tonumber(ARGV[1]) and now or 0
local known = {}
local function isAlive(node)
  if known[node] == nil then known[node] = tonumber(redis.call('ZSCORE', leases, node) or '0') > least end
  return known[node]
end

local answer = {}
for number = 1, #KEYS - 2 do
  local found = { redis.call('ZSCORE', seen, ARGV[1 + number]) or '' }
  local rows = redis.call('HGETALL', KEYS[2 + number])
  for place = 1, #rows, 2 do
    if isAlive(string.match(rows[place + 1], '^%d+ (%S+) ')) then
      table.insert(found, rows[place])
      table.insert(found, rows[place + 1])
    end
  end
  answer[number] = found
end
return answer
