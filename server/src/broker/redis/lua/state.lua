-- Put before scripts that read it: where a mailbox stands, and everybody in it.

-- Epoch (empty where it never began), head, at of the head, delivered, read, what was passed unseen (JSON), moves, then each device and its
-- cursors; or nothing and an error of Redis'.
local function stateOf(mailbox, devices)
  local state = redis.pcall('HMGET', mailbox, 'epoch', 'head', 'at', 'delivered', 'read', 'passed', 'moves')
  local rows = redis.pcall('HGETALL', devices)
  local failed = failure(state) or failure(rows)
  if failed then return nil, failed end
  local answer = {}
  for place = 1, 7 do answer[place] = state[place] or '' end
  for _, part in ipairs(rows) do table.insert(answer, part) end
  return answer
end
