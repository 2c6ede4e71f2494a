-- Takes one token from each bucket of some requests, one request after another, each whole or not at all.
-- KEYS: the buckets, in order.
-- ARGV: per request the number of its buckets, then per bucket: size in tokens, tokens a microsecond, 1 if only watched,
-- and for a bucket that gains none, for how many milliseconds it is kept.
-- Returns one string: per bucket the tokens left, and a minus sign before them if the bucket had none for this request.
-- The server's clock counts, so that the clocks of those who ask don't matter. A bucket that is full again expires.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answers = {}
local key, argument = 0, 1

while argument <= #ARGV do
  local count = tonumber(ARGV[argument])
  local tokens, since, refused, denied = {}, {}, {}, false
  for i = 1, count do
    local at = argument + 4 * (i - 1)
    local size, rate = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    local stored = redis.call('GET', KEYS[key + i])
    tokens[i], since[i] = size, now
    if stored then
      local had, when = struct.unpack('<dd', stored)
      since[i] = math.max(now, when)
      tokens[i] = math.min(size, had + (since[i] - when) * rate)
    end
    refused[i] = tokens[i] < 1 - 1e-9
    denied = denied or (refused[i] and ARGV[at + 3] ~= '1')
  end
  for i = 1, count do
    local at = argument + 4 * (i - 1)
    if not denied and not refused[i] then
      local size, rate = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
      tokens[i] = tokens[i] - 1
      local kept_ms = rate > 0 and math.ceil((size - tokens[i]) / rate / 1000) + 1 or tonumber(ARGV[at + 4])
      redis.call('SET', KEYS[key + i], struct.pack('<dd', tokens[i], since[i]), 'PX', string.format('%.0f', kept_ms))
    end
    answers[#answers + 1] = (refused[i] and '-' or '') .. string.format('%.6f', math.max(tokens[i], 0))
  end
  key = key + count
  argument = argument + 1 + 4 * count
end
return table.concat(answers, ' ')
