-- Where a mailbox stands, and everybody in it, at one moment.
--
-- KEYS  [1] mailbox (hash), [2] devices (hash), [3] generation (string)
-- returns now, epoch, head, at of the head, delivered, read, missed, unshown, moves, generation, then each device and its cursors
local state = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'at', 'delivered', 'read', 'missed', 'unshown', 'moves')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = { tostring(now) }
for place = 1, 8 do answer[place + 1] = state[place] or '' end
answer[10] = redis.call('GET', KEYS[3]) or '0'
for _, part in ipairs(redis.call('HGETALL', KEYS[2])) do table.insert(answer, part) end
return answer
