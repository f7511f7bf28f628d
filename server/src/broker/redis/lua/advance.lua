-- Writes what one device's move made of a user's cursors, unless they were moved meanwhile, and tells of it.
--
-- KEYS  [1] mailbox (hash), [2] devices (hash), [3] log (stream)
-- ARGV  [1] epoch, [2] number of moves so far, [3] milliseconds the keys are kept, [4] PUBLISH or SPUBLISH, [5] channel, [6] what is told,
--       [7] delivered, [8] read, [9] what was passed unseen (JSON), [10] offset and [11] time of a
--       message that the device was given, [12] device, [13] its cursors, then devices to forget
-- returns 1, or 0 where the epoch is another or somebody was faster; 1 too where the log holds another message than the device was given
local state = redis.call('HMGET', KEYS[1], 'epoch', 'moves')
if state[1] ~= ARGV[1] or (state[2] or '0') ~= ARGV[2] then return 0 end
local given = ARGV[10] ~= '' and redis.call('XRANGE', KEYS[3], ARGV[10] .. '-0', ARGV[10] .. '-0')[1]
if given and string.match(given[2][6], '^%[%d+,(%d+),') ~= ARGV[11] then return 1 end
-- In this order: what is first may be done where memory has run out, and what follows it as well. Who reads must not have it again.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[1], 'moves', tonumber(ARGV[2]) + 1, 'delivered', ARGV[7], 'read', ARGV[8], 'passed', ARGV[9])
redis.call('HSET', KEYS[2], ARGV[12], ARGV[13])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
for place = 14, #ARGV do redis.call('HDEL', KEYS[2], ARGV[place]) end
if ARGV[6] ~= '' then redis.call(ARGV[4], ARGV[5], ARGV[6]) end
return 1
