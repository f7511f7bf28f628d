-- Put before publish.lua: its limits, which are ARGV[4], and a mailbox as it is stored.
local limits = cjson.decode(ARGV[4])

-- Why the keys of a message cannot be used, if they cannot: an error of Redis'.
local function wrongType(keys, state, digest)
  return failure(state) or failure(redis.pcall('XLEN', keys.log)) or failure(redis.pcall('HLEN', keys.devices))
    or failure(redis.pcall('GET', keys.generation)) or failure(redis.pcall('GET', keys.store))
    or (digest and failure(redis.pcall('GET', keys.use)))
end

-- The epoch of a mailbox that begins now, or nothing and an error of Redis'.
local function begin(keys, user)
  -- What is left of one that somebody deleted by halves has offsets that would come again.
  if redis.call('EXISTS', keys.log) == 1 then redis.call('DEL', keys.log) end
  local epoch = epochOf(keys.store, keys.generation, user)
  if epoch ~= '' then return epoch end
  local failed = failure(redis.pcall('SET', keys.store, ARGV[5]))
  if failed then return nil, failed end
  return epochOf(keys.store, keys.generation, user)
end

local function save(keys, box)
  redis.call('HSET', keys.mailbox, 'count', box.count, 'bytes', box.held, 'trimmed', box.trimmed,
    'earliest', box.earliest, 'latest', box.latest)
end

-- Epoch and head outlive the messages, because devices remember them; said once a day, not with every message.
local function keep(keys, kept)
  if number(kept) >= now then return end
  redis.call('HSET', keys.mailbox, 'kept', now + limits.day)
  redis.call('PEXPIRE', keys.mailbox, limits.life)
  redis.call('PEXPIRE', keys.devices, limits.life)
end

-- A device never seen begins where its user has come by now: others pass the message before it comes.
local function expect(keys, device)
  if redis.call('HEXISTS', keys.devices, device) == 1 then return end
  local user = redis.call('HMGET', keys.mailbox, 'delivered', 'read')
  local row = { delivered = number(user[1]), read = number(user[2]), deliveredAt = 0, readAt = 0, seenAt = now, transient = true,
    order = redis.call('HINCRBY', keys.mailbox, 'moves', 1) }
  redis.call('HSET', keys.devices, device, cjson.encode(row))
  redis.call('PEXPIRE', keys.devices, limits.life)
end
