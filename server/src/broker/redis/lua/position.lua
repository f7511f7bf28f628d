-- Where a mailbox stands, and everybody in it, at one moment.
--
-- KEYS  [1] mailbox (hash), [2] devices (hash), [3] generation, [4] store (strings)
-- ARGV  [1] the user
-- returns now, and the state as `state.lua` gives it; its epoch is that of the mailbox to come where there is none yet, and empty where the
--         store has no secret
local state, failed = stateOf(KEYS[1], KEYS[2])
if failed then return redis.error_reply(failed) end
if state[1] == '' then state[1] = epochOf(KEYS[4], KEYS[3], ARGV[1]) end
return { tostring(now), state }
