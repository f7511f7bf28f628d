-- Put before every script: the time, and what a mailbox is called before it exists.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function number(text) return tonumber(text or '') or 0 end

-- The error in an answer of redis.pcall, if it is one.
local function failure(answer) return type(answer) == 'table' and answer.err or nil end

-- The epoch of a mailbox that is not there yet: whoever is connected stays connected when it begins. Derived from a secret of the
-- store, which goes with it when it is lost; empty where the store has none yet.
local function epochOf(store, generation, user)
  local secret = redis.call('GET', store)
  if not secret then return '' end
  return string.sub(redis.sha1hex(secret .. ':' .. (redis.call('GET', generation) or '0') .. ':' .. user), 1, 24)
end
