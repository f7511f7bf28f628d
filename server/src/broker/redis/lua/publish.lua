-- Appends messages to mailboxes: repetition, idempotency, limits, offset, append, trim, expiry and fan-out of each are one step.
-- Checks a message before it writes anything of it, because nothing is undone.
--
-- KEYS  [1] the answers to this very call, kept for a retry whose first reply was lost;
--       then for each message: its mailbox (hash), log (stream), devices (hash), generation (string), idempotency key (string)
-- ARGV  [1] milliseconds the answers are kept, [2] the limits (JSON), [3] PUBLISH or SPUBLISH,
--       then for each message: header (JSON), channel, text and attachments as they travel
-- returns for each message a list: state, epoch, offset, at; or "failed" and a code
local known = redis.call('GET', KEYS[1])
if known then return cjson.decode(known) end

local limits = cjson.decode(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function number(text) return tonumber(text or '0') end

-- Drops the oldest entries until `bytes` more fit; returns what is left, and the highest offset that a limit removed.
local function trim(log, count, held, trimmed, bytes)
  while count > 0 and (count + 1 > limits.messages or held + bytes > limits.bytes) do
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    if not oldest then return 0, 0, trimmed end
    redis.call('XDEL', log, oldest[1])
    count = count - 1
    held = held - number(oldest[2][2])
    -- What had expired was not removed by a limit.
    if number(oldest[2][4]) > now then trimmed = tonumber(string.match(oldest[1], '^%d+')) end
  end
  return count, held, trimmed
end

-- Drops what has expired among the oldest entries, which would otherwise push out what has not.
local function clean(log, count, held)
  for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', limits.looked)) do
    if number(entry[2][4]) <= now then
      redis.call('XDEL', log, entry[1])
      count = count - 1
      held = held - number(entry[2][2])
    end
  end
  return count, held
end

local function publish(place, argument)
  local mailbox, log, devices, generation, key = KEYS[place], KEYS[place + 1], KEYS[place + 2], KEYS[place + 3], KEYS[place + 4]
  local header, channel, body = cjson.decode(ARGV[argument]), ARGV[argument + 1], ARGV[argument + 2]
  local state = redis.call('HMGET', mailbox, 'epoch', 'head', 'at', 'count', 'bytes', 'trimmed', 'earliest', 'latest', 'kept')
  -- The epoch of a mailbox that is not there yet is known before: whoever is connected stays connected when it begins.
  local epoch = state[1] or redis.sha1hex(limits.secret .. ':' .. (redis.call('GET', generation) or '0') .. ':' .. header.user)
  local head = number(state[2])
  local count, held, trimmed = number(state[4]), number(state[5]), number(state[6])
  local earliest, latest = number(state[7]), number(state[8])

  if header.digest then
    local use = redis.call('GET', key)
    local first = use and cjson.decode(use)
    -- A key of an earlier life went with its mailbox.
    if first and first.epoch == epoch then
      if first.digest ~= header.digest then return { 'failed', 'IDEMPOTENCY_CONFLICT' } end
      return { 'duplicate', first.epoch, tostring(first.offset), tostring(first.at) }
    end
  end
  if header.bytes > limits.bytes then return { 'failed', 'PAYLOAD_TOO_LARGE' } end
  local isFull = count + 1 > limits.messages or held + header.bytes > limits.bytes
  -- The log expires as a whole when everything in it has.
  if latest <= now then count, held, earliest, latest, isFull = 0, 0, 0, 0, false end
  if isFull and earliest <= now then
    count, held = clean(log, count, held)
    earliest = now
    isFull = count + 1 > limits.messages or held + header.bytes > limits.bytes
    redis.call('HSET', mailbox, 'count', count, 'bytes', held)
  end
  if isFull and limits.reject then return { 'failed', 'MAILBOX_FULL' } end

  local offset = head + 1
  -- Two messages of one millisecond still differ in time, and a clock set back repeats none.
  local at = math.max(now, number(state[3]) + 1)
  local expiresAt = at + math.min(header.ttl, limits.retention)
  local meta = { offset = offset, at = at, expiresAt = expiresAt, bytes = header.bytes, epoch = epoch,
    from = header.from, key = header.key, devices = header.devices, parts = header.parts }
  local entry = cjson.encode(meta) .. '\n' .. body
  redis.call('XADD', log, offset .. '-0', 'b', header.bytes, 'x', expiresAt, 'e', entry)
  if isFull then
    count, held, trimmed = trim(log, count, held, trimmed, header.bytes)
  end
  if earliest == 0 or expiresAt < earliest then earliest = expiresAt end
  if expiresAt > latest then
    latest = expiresAt
    redis.call('PEXPIREAT', log, latest)
  end
  redis.call('HSET', mailbox, 'epoch', epoch, 'head', offset, 'at', at, 'count', count + 1, 'bytes', held + header.bytes,
    'trimmed', trimmed, 'earliest', earliest, 'latest', latest)
  -- Epoch and head outlive the messages, because devices remember them; written once a day, not with every message.
  if number(state[9]) < now then
    redis.call('HSET', mailbox, 'kept', now + limits.day)
    redis.call('PEXPIRE', mailbox, limits.life)
    redis.call('PEXPIRE', devices, limits.life)
  end
  if header.digest then
    local use = { digest = header.digest, epoch = epoch, offset = offset, at = at, receipts = header.receipts }
    redis.call('SET', key, cjson.encode(use), 'PX', limits.key)
  end
  -- A device never seen begins where its user has come by now: others pass the message before it comes.
  local only = header.devices and header.devices.only
  if only and redis.call('HEXISTS', devices, only) == 0 then
    local user = redis.call('HMGET', mailbox, 'delivered', 'read')
    local device = { delivered = number(user[1]), read = number(user[2]), deliveredAt = now, readAt = now, seenAt = now, transient = true }
    redis.call('HSET', devices, only, cjson.encode(device))
    redis.call('PEXPIRE', devices, limits.life)
    redis.call('HINCRBY', mailbox, 'moves', 1)
  end
  redis.call(ARGV[3], channel, 'e' .. entry)
  return { 'accepted', epoch, tostring(offset), tostring(at) }
end

local answers = {}
for message = 1, (#KEYS - 1) / 5 do
  answers[message] = publish(5 * message - 3, 3 * message + 1)
end
redis.call('SET', KEYS[1], cjson.encode(answers), 'PX', ARGV[1])
return answers
