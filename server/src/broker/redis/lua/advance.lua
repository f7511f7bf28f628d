-- Writes what a move of one device made of a user's cursors, for each of several users, unless the cursors were moved meanwhile; and tells of it.
--
-- KEYS  for each user: mailbox (hash), devices (hash), log (stream)
-- ARGV  [1] milliseconds the keys are kept, [2] PUBLISH or SPUBLISH, then for each user: epoch, number of moves so far, channel, what is told,
--       delivered, read, what was passed unseen (JSON), offset and time of a message that the device was given, device, its cursors,
--       how many devices to forget, and these
-- returns for each user 1, or 0 where the epoch is another or somebody was faster; 1 too where the log holds another message than the
--         device was given; or an error of Redis', as text
local function advance(mailbox, devices, log, first)
  local epoch, moves, channel, told, delivered, read, passed, offset, at, device, row, forgotten = unpack(ARGV, first, first + 11)
  local state = redis.pcall('HMGET', mailbox, 'epoch', 'moves')
  if failure(state) then return failure(state) end
  if state[1] ~= epoch or (state[2] or '0') ~= moves then return 0 end
  local given = offset ~= '' and redis.pcall('XRANGE', log, offset .. '-0', offset .. '-0')
  if given and failure(given) then return failure(given) end
  if given and given[1] and string.match(given[1][2][6], '^%[%d+,(%d+),') ~= at then return 1 end
  -- In this order: what is first may be done where memory has run out, and what follows it as well. Who reads must not have it again.
  redis.call('PEXPIRE', mailbox, ARGV[1])
  redis.call('HSET', mailbox, 'moves', tonumber(moves) + 1, 'delivered', delivered, 'read', read, 'passed', passed)
  redis.call('HSET', devices, device, row)
  redis.call('PEXPIRE', devices, ARGV[1])
  for place = first + 12, first + 11 + forgotten do redis.call('HDEL', devices, ARGV[place]) end
  if told ~= '' then redis.call(ARGV[2], channel, told) end
  return 1
end

local answers, place = {}, 3
for user = 1, #KEYS / 3 do
  answers[user] = advance(KEYS[3 * user - 2], KEYS[3 * user - 1], KEYS[3 * user], place)
  place = place + 12 + ARGV[place + 11]
end
return answers
