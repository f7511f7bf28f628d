-- Tells whoever listens, and nobody else.
--
-- KEYS  [1] any key of the slot that all the channels are in
-- ARGV  [1] PUBLISH or SPUBLISH, then each channel and what it is told
-- returns nothing
for channel = 2, #ARGV, 2 do
  redis.call(ARGV[1], ARGV[channel], ARGV[channel + 1])
end
