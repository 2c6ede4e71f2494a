-- Takes from the buckets and places of some requests, one request after another, each whole or not at all.
-- KEYS: the buckets, in order.
-- ARGV: per request the number of its buckets, then seven for each: what it is, and
--   bucket: size in tokens, tokens a microsecond, for how many milliseconds one that gains none is kept, 1 if only
--           watched, tokens to take, tokens that must be there
--   places: how many there are, for how many milliseconds one is held, -, 1 if only watched, who takes one, -
--   back:   -, -, -, -, who gives his place back, -
-- Returns one string: per bucket the tokens or places left, and ! before them if there were too few for this request.
-- The server's clock counts, so that the clocks of those who ask don't matter. A bucket that is full again expires; so
-- do places that nobody holds any more.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answers = {}
local key, argument = 0, 1
local EACH = 7

local function find(name, at)
  if ARGV[at] == 'back' then return 0, now, 0 end
  if ARGV[at] == 'places' then
    redis.call('ZREMRANGEBYSCORE', name, '-inf', string.format('%.0f', now))
    return tonumber(ARGV[at + 1]) - redis.call('ZCARD', name), now, 1
  end
  local size, rate = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local stored = redis.call('GET', name)
  if not stored then return size, now, tonumber(ARGV[at + 6]) end
  local had, when = struct.unpack('<dd', stored)
  if rate == 0 then return size + had, now, tonumber(ARGV[at + 6]) end
  local since = math.max(now, when)
  return math.min(size, had + (since - when) * rate), since, tonumber(ARGV[at + 6])
end

local function take(name, at, there, since)
  if ARGV[at] == 'back' then
    -- It may go together with what others ask, and comes again when it fails: what is no place must not fail it.
    if redis.call('TYPE', name).ok == 'zset' then redis.call('ZREM', name, ARGV[at + 5]) end
    return 0
  end
  if ARGV[at] == 'places' then
    local until_us = now + tonumber(ARGV[at + 2]) * 1000
    redis.call('ZADD', name, string.format('%.0f', until_us), ARGV[at + 5])
    local latest = redis.call('ZRANGE', name, -1, -1, 'WITHSCORES')
    redis.call('PEXPIRE', name, string.format('%.0f', math.ceil((tonumber(latest[2]) - now) / 1000) + 1))
    return there - 1
  end
  local cost = tonumber(ARGV[at + 5])
  if cost == 0 then return there end
  local size, rate = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local left = there - cost
  if left < 0 and left > -1e-9 then left = 0 end
  local kept_ms = rate > 0 and math.ceil((size - left) / rate / 1000) + 1 or tonumber(ARGV[at + 3])
  -- Of a quota what was used is kept, below nothing, so that another budget counts at once.
  local kept = rate > 0 and left or left - size
  redis.call('SET', name, struct.pack('<dd', kept, since), 'PX', string.format('%.0f', kept_ms))
  return left
end

while argument <= #ARGV do
  local count = tonumber(ARGV[argument])
  local there, since, refused, denied = {}, {}, {}, false
  for i = 1, count do
    local at, least = argument + EACH * (i - 1) + 1, 0
    there[i], since[i], least = find(KEYS[key + i], at)
    refused[i] = there[i] < least - 1e-9
    denied = denied or (refused[i] and ARGV[at + 4] ~= '1')
  end
  for i = 1, count do
    local at = argument + EACH * (i - 1) + 1
    if not denied and not refused[i] then there[i] = take(KEYS[key + i], at, there[i], since[i]) end
    answers[#answers + 1] = (refused[i] and '!' or '') .. string.format('%.6f', there[i])
  end
  key = key + count
  argument = argument + 1 + EACH * count
end
return table.concat(answers, ' ')
