-- Forgets breakers that were not changed for long. The lines before this one define `now_s` and `now_us`.
--
-- KEYS: the hash of breakers. ARGV: for how long (ms). Answers how many it forgot.

local board = KEYS[1]
local oldest = now_s * 1000 - tonumber(ARGV[1])
local forgotten = 0
local fields = redis.call('HGETALL', board)

for at = 1, #fields, 2 do
  if fields[at] ~= 'generation' then
    local touched = tonumber(string.match(fields[at + 1], ' (%d+)$'))
    -- What is not understood has no time, and goes as well.
    if not touched or touched < oldest then
      redis.call('HDEL', board, fields[at])
      forgotten = forgotten + 1
    end
  end
end

if forgotten > 0 then
  local before = tonumber(redis.call('HGET', board, 'generation')) or 0
  redis.call('HSET', board, 'generation', string.format('%.0f', math.max(before + 1, now_s * 1000000 + now_us)))
end
return forgotten
