-- Forgets a mailbox and everything about it; the next message begins a new life.
--
-- KEYS  [1] mailbox (hash), [2] log (stream), [3] devices (hash), [4] generation (string)
-- ARGV  [1] milliseconds the generation is kept, [2] PUBLISH or SPUBLISH, [3] channel
-- returns 1, or 0 where there was nothing
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) == 0 then return 0 end
-- In this order: what is first may be done where memory has run out, and what follows it as well.
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
redis.call('INCR', KEYS[4])
redis.call('PEXPIRE', KEYS[4], ARGV[1])
redis.call(ARGV[2], ARGV[3], 'i')
return 1
