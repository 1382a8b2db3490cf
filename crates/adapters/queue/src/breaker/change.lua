-- Tells breakers what happened. Follows the rules of onering-delivery's Breaker, against which it is tested. The lines
-- before this one define `now_s` and `now_us`: the instant, by Redis' own clock.
--
-- KEYS: the hash of breakers. Its field `generation` changes with every change; every other field is a subscription:
--   kind (c closed, o open, h half open), how many failures or opens, until when (ms), the probe or -, when it was
--   changed last (ms). A healthy one is not there.
-- ARGV: failures that open, first and longest pause (ms); then for each input: subscription, delivery, what it is
--   (f failed, r reached, a asks), for how long a probe is waited for (ms).
-- Answers: now (ms), the generation before and after; then for each input: its breaker afterwards, the change or ''.

local board = KEYS[1]
local now = now_s * 1000 + math.floor(now_us / 1000)
local threshold, first_pause, longest_pause = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local MOST_OPENS = 4294967295

local function whole(number)
  return string.format('%.0f', number)
end

local function pack(breaker)
  return table.concat({ breaker.kind, whole(breaker.count), whole(breaker.till), breaker.probe, whole(breaker.touched) }, ' ')
end

-- What is not understood is as if it were not there.
local function unpack_or_healthy(packed)
  local kind, count, till, probe, touched = string.match(packed or '', '^([coh]) (%d+) (%d+) (%S+) (%d+)$')
  if not kind then return { kind = 'c', count = 0, till = 0, probe = '-', touched = 0 } end
  return { kind = kind, count = tonumber(count), till = tonumber(till), probe = probe, touched = tonumber(touched) }
end

local function set(breaker, kind, count, till, probe)
  breaker.kind, breaker.count, breaker.till, breaker.probe, breaker.touched = kind, count, till, probe, now
end

local function open(breaker, opens)
  set(breaker, 'o', opens, now + math.min(first_pause * 2 ^ (opens - 1), longest_pause), '-')
end

local function learn(breaker, delivery, failed)
  if breaker.kind == 'c' then
    local failures = failed and breaker.count + 1 or 0
    if failures >= threshold then
      open(breaker, 1)
      return 'OPENED'
    end
    set(breaker, 'c', failures, 0, '-')
  elseif breaker.kind == 'h' and breaker.probe == delivery then
    if failed then
      open(breaker, math.min(breaker.count + 1, MOST_OPENS))
      return 'REOPENED'
    end
    set(breaker, 'c', 0, 0, '-')
    return 'CLOSED'
  end
  return ''
end

local function ask(breaker, delivery, lease)
  if breaker.kind == 'c' then return '' end
  local again = breaker.kind == 'h' and breaker.probe == delivery
  if not again and now < breaker.till then return '' end
  set(breaker, 'h', breaker.count, now + lease, delivery)
  return again and '' or 'PROBED'
end

local before = tonumber(redis.call('HGET', board, 'generation')) or 0
local breakers, read = {}, {}
local answer = { whole(now), whole(before), '' }

for at = 4, #ARGV, 4 do
  local subscription, delivery, what, lease = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  if not breakers[subscription] then
    breakers[subscription] = unpack_or_healthy(redis.call('HGET', board, subscription))
    read[subscription] = pack(breakers[subscription])
  end
  local breaker, change = breakers[subscription]
  if what == 'a' then
    change = ask(breaker, delivery, lease)
  else
    change = learn(breaker, delivery, what == 'f')
  end
  answer[#answer + 1] = pack(breaker)
  answer[#answer + 1] = change
end

local any = false
for subscription, breaker in pairs(breakers) do
  local healthy = breaker.kind == 'c' and breaker.count == 0
  if healthy then
    any = redis.call('HDEL', board, subscription) == 1 or any
  elseif pack(breaker) ~= read[subscription] then
    redis.call('HSET', board, subscription, pack(breaker))
    any = true
  end
end

local after = before
if any then
  -- Of the time as well, so that a Redis that lost everything never comes to a generation it once had.
  after = math.max(before + 1, now_s * 1000000 + now_us)
  redis.call('HSET', board, 'generation', whole(after))
end
answer[3] = whole(after)
return answer
