-- Appends messages to mailboxes: repetition, idempotency, limits, offset, append, trim, expiry and fan-out of each are one step.
-- Checks a message before it writes anything of it, because nothing is undone.
--
-- KEYS  [1] the last call of this caller and its answers, for a retry whose first reply was lost;
--       then for each message: its mailbox (hash), log (stream), devices (hash), generation, store, idempotency key (strings)
-- ARGV  [1] the number of this call, [2] milliseconds the answers are kept, [3] PUBLISH or SPUBLISH, [4] the limits (JSON),
--       [5] a secret for a store that has none, then for each message: header (JSON), rest (JSON), channel, body
-- returns for each message a list: state, epoch, offset, at; or "failed" and a code or an error of Redis'. A call that comes after
--         a later one of its caller: nothing
local call = tonumber(ARGV[1])
local last = redis.call('GET', KEYS[1])
if last then
  local known, answers = string.match(last, '^(%d+) (.*)$')
  if tonumber(known) == call then
    -- A write, after which the caller can wait until replicas have it and what came before.
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return cjson.decode(answers)
  end
  if tonumber(known) > call then return {} end
end

local function append(keys, box, epoch, place, header, argument)
  local rest, channel, body = ARGV[argument + 1], ARGV[argument + 2], ARGV[argument + 3]
  if isFull(box, header.bytes) or box.latest <= now then clean(box) end
  local full = isFull(box, header.bytes)
  if full and limits.reject then return { 'failed', 'MAILBOX_FULL' } end
  local offset = place.head + 1
  -- Two messages of one millisecond still differ in time, and a clock set back repeats none.
  local at = math.max(now, place.at + 1)
  local expiresAt = at + math.min(header.ttl, limits.retention)
  local entry = string.format('[%d,%d,%d,', offset, at, expiresAt) .. rest .. ']\n' .. body
  -- The first write, where nothing had expired: it fails where memory has run out.
  local failed = failure(redis.pcall('XADD', keys.log, offset .. '-0', 'b', header.bytes, 'x', expiresAt, 'e', entry))
  if failed then return { 'failed', failed } end
  if full then trim(box, header.bytes) end
  box.count, box.held, box.changed = box.count + 1, box.held + header.bytes, true
  if box.earliest == 0 or expiresAt < box.earliest then box.earliest = expiresAt end
  if expiresAt > box.latest then
    box.latest = expiresAt
    redis.call('PEXPIREAT', keys.log, expiresAt)
  end
  redis.call('HSET', keys.mailbox, 'epoch', epoch, 'head', offset, 'at', at)
  keep(keys, place.kept)
  if header.digest then remember(keys.use, header, epoch, offset, at) end
  if header.only then expect(keys, header.only) end
  redis.call(ARGV[3], channel, 'e' .. epoch .. '\n' .. entry)
  return { 'accepted', epoch, tostring(offset), tostring(at) }
end

local function publish(first, argument)
  local keys = { mailbox = KEYS[first], log = KEYS[first + 1], devices = KEYS[first + 2], generation = KEYS[first + 3],
    store = KEYS[first + 4], use = KEYS[first + 5] }
  local header = cjson.decode(ARGV[argument])
  local state = redis.pcall('HMGET', keys.mailbox, 'epoch', 'head', 'at', 'count', 'bytes', 'trimmed', 'earliest', 'latest', 'kept')
  local failed = wrongType(keys, state, header.digest)
  if failed then return { 'failed', failed } end
  local epoch = state[1]
  if not epoch then epoch, failed = begin(keys, header.user) end
  if failed then return { 'failed', failed } end
  local known = header.digest and firstUse(keys.use, epoch, header.digest)
  if known then return known end
  if header.bytes > limits.bytes then return { 'failed', 'PAYLOAD_TOO_LARGE' } end
  local box = { log = keys.log, count = number(state[4]), held = number(state[5]), trimmed = number(state[6]),
    earliest = number(state[7]), latest = number(state[8]) }
  local place = { head = number(state[2]), at = number(state[3]), kept = state[9] }
  local answer = append(keys, box, epoch, place, header, argument)
  if box.changed then save(keys, box) end
  return answer
end

local answers = {}
for message = 1, (#KEYS - 1) / 6 do
  answers[message] = publish(6 * message - 4, 4 * message + 2)
end
-- Where there is no memory left nothing was appended either, and nothing needs to be remembered.
redis.pcall('SET', KEYS[1], call .. ' ' .. cjson.encode(answers), 'PX', ARGV[2])
return answers
