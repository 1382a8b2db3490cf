-- Takes from the rate limits of many keys at once. Follows the rules of onering-rate-limit's Window, against which it
-- is tested. The lines before this one define `now_s` and `now_us`: the instant, by Redis' own clock.
--
-- KEYS: one hash a key: h = start of the hour it counts, n = units taken in it, s = the second it counts, b = requests
--   admitted in that.
-- ARGV, for each key: units an hour, requests a second (-1: unlimited), how many runs; then for each run: the cost of a
--   request, how many such requests.
-- Answers: now_s, now_us; then for each key: start of its hour, units taken in the hour before this call; then for each
--   run how many of its requests are admitted. A request is admitted whole or not at all, and what is refused counts
--   nowhere.

local this_hour = now_s - now_s % 3600
local answer = { now_s, now_us }
local at = 1

local function whole(number)
  return string.format('%d', number)
end

local function next_number()
  at = at + 1
  return tonumber(ARGV[at - 1])
end

for index = 1, #KEYS do
  local key = KEYS[index]
  local per_hour, per_second, runs = next_number(), next_number(), next_number()
  local kept = redis.call('HMGET', key, 'h', 'n', 's', 'b')
  -- A stored window ahead of now means the clock was set back (a failover, say). It goes on counting: the same hour
  -- must not be granted twice. Its TTL ends it at the latest.
  local hour, in_hour = tonumber(kept[1]) or 0, tonumber(kept[2]) or 0
  local kept_second, in_second = tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
  local second = kept_second
  local fresh = hour < this_hour
  if fresh then hour, in_hour = this_hour, 0 end
  if second < now_s then second, in_second = now_s, 0 end
  answer[#answer + 1] = hour
  answer[#answer + 1] = in_hour

  local any = false
  for _ = 1, runs do
    local cost, admitted = next_number(), next_number()
    if cost > 0 then admitted = math.min(admitted, math.floor((per_hour - in_hour) / cost)) end
    if per_second >= 0 then admitted = math.min(admitted, per_second - in_second) end
    -- Below zero when a limit was lowered beneath what is already taken.
    admitted = math.max(admitted, 0)
    in_hour, in_second = in_hour + admitted * cost, in_second + admitted
    any = any or admitted > 0
    answer[#answer + 1] = admitted
  end

  -- Only what changes is written, and as text: a number would be made into 17 digits first.
  if fresh and any then
    redis.call('HSET', key, 'h', whole(hour), 'n', whole(in_hour), 's', whole(second), 'b', whole(in_second))
    redis.call('EXPIRE', key, 7200)
  elseif any and kept_second < second then
    redis.call('HSET', key, 'n', whole(in_hour), 's', whole(second), 'b', whole(in_second))
  elseif any then
    redis.call('HSET', key, 'n', whole(in_hour), 'b', whole(in_second))
  end
end

return answer
