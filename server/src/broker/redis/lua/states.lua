-- Where mailboxes stand, and everybody in them, before cursors are moved there.
--
-- KEYS  for each user: mailbox, devices (hashes)
-- returns now, then for each user the state as `state.lua` gives it, or a list of one: an error of Redis'
local answers = { tostring(now) }
for user = 1, #KEYS / 2 do
  local state, failed = stateOf(KEYS[2 * user - 1], KEYS[2 * user])
  answers[user + 1] = state or { failed }
end
return answers
