-- Reads a stretch of a mailbox, as it stands at one moment.
--
-- KEYS  [1] mailbox (hash), [2] log (stream), [3] generation, [4] store (strings)
-- ARGV  [1] the user, [2] the offset to read after, [3] how many entries to look at, at most
-- returns now, epoch (empty where the store has no secret yet), head, at of the head, trimmed, then the entries as they travel
local state = redis.call('HMGET', KEYS[1], 'epoch', 'head', 'at', 'trimmed')
local answer = { tostring(now), state[1] or epochOf(KEYS[4], KEYS[3], ARGV[1]), state[2] or '0', state[3] or '0', state[4] or '0' }
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '(' .. ARGV[2] .. '-0', '+', 'COUNT', ARGV[3])) do
  table.insert(answer, entry[2][6])
end
return answer
