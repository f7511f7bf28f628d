-- Where several mailboxes stand, to compare with what was heard of them.
--
-- KEYS  for each user: mailbox (hash), generation, store (strings)
-- ARGV  the users
-- returns for each user epoch (empty where the store has no secret yet), head and at of the head, one after the other
local answer = {}
for user = 1, #ARGV do
  local state = redis.call('HMGET', KEYS[3 * user - 2], 'epoch', 'head', 'at')
  table.insert(answer, state[1] or epochOf(KEYS[3 * user], KEYS[3 * user - 1], ARGV[user]))
  table.insert(answer, state[2] or '0')
  table.insert(answer, state[3] or '0')
end
return answer
