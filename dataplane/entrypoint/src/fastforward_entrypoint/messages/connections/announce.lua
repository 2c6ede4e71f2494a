-- Says that a process is there, for as long as a lease lasts, and lets it hear itself.
-- KEYS[1]: processes by the end of their leases. ARGV: the process, its lease in milliseconds, its channel.
-- The server's clock counts, so that the clocks of those who ask don't matter.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[2]), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('PUBLISH', ARGV[3], '')
