-- Put before publish.lua: idempotency keys.

-- What the first use of a key came to, as an answer; nothing where there was none in this life of the mailbox.
local function firstUse(key, epoch, digest)
  local use = redis.call('GET', key)
  if not use then return nil end
  local life, offset, at, known = string.match(use, '^(%S+) (%d+) (%d+) %S+ (.*)$')
  -- A key of an earlier life went with its mailbox.
  if life ~= epoch then return nil end
  if known ~= digest then return { 'failed', 'IDEMPOTENCY_CONFLICT' } end
  return { 'duplicate', life, offset, at }
end

local function remember(key, header, epoch, offset, at)
  local use = string.format('%s %d %d %s %s', epoch, offset, at, header.receipts or '-', header.digest)
  redis.call('SET', key, use, 'PX', limits.key)
end
