-- Reads a stretch of a mailbox, as it stands at one moment.
--
-- KEYS  [1] mailbox (hash), [2] log (stream), [3] generation (string)
-- ARGV  [1] the offset to read after, [2] how many entries to look at, at most
-- returns now, epoch, head, at of the head, trimmed, generation, then the entries as they travel
local state = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'at', 'trimmed')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = { tostring(now) }
for place = 1, 4 do answer[place + 1] = state[place] or '' end
answer[6] = redis.call('GET', KEYS[3]) or '0'
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[1] .. '-0', '+', 'COUNT', ARGV[2])) do
  table.insert(answer, entry[2][6])
end
return answer
