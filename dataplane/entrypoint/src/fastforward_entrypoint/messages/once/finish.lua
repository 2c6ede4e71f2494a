-- Keeps the result of a claim, or forgets the claim; leaves alone what is another's by now.
-- KEYS[1]: the key. ARGV: token of the claim, print of the message, milliseconds to keep it, the result (absent: forget).
-- Returns 1 when it was done.
local token = redis.call('HGET', KEYS[1], 'token')
if token and token ~= ARGV[1] then
  return 0
end
if not ARGV[4] then
  redis.call('DEL', KEYS[1])
  return 1
end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'print', ARGV[2], 'result', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
