-- Claims a key, for as long as a lease lasts.
-- KEYS[1]: the key. ARGV: token of the claim, print of the message, lease in milliseconds.
-- Returns nothing when the claim holds, else the print and the result (false without one) of whoever has the key.
-- The same claim again holds again: its answer may have been lost.
local known = redis.call('HMGET', KEYS[1], 'token', 'print', 'result')
if known[1] and known[1] ~= ARGV[1] then
  return {known[2], known[3]}
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'print', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return false
