-- Where a mailbox stands, and everybody in it, at one moment.
--
-- KEYS  [1] mailbox (hash), [2] devices (hash), [3] generation, [4] store (strings)
-- ARGV  [1] the user
-- returns now, epoch (empty where the store has no secret yet), head, at of the head, delivered, read, what was passed unseen (JSON), moves,
--         then each device and its cursors
local state = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'at', 'delivered', 'read', 'passed', 'moves')
local answer = { tostring(now), state[1] or epochOf(KEYS[4], KEYS[3], ARGV[1]) }
for place = 2, 7 do answer[place + 1] = state[place] or '' end
for _, part in ipairs(redis.call('HGETALL', KEYS[2])) do table.insert(answer, part) end
return answer
