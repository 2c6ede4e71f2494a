-- Tells something to one process, or to all others that are there.
-- KEYS[1]: processes by the end of their leases. ARGV: who asks, what channels begin with, the letter, and whom it is
-- for; empty for all.
-- Returns those who were told, and how many have a lease, but no ear.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told, silent = {}, 0
for _, process in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')) do
  if process ~= ARGV[1] and (ARGV[4] == '' or ARGV[4] == process) then
    if redis.call('PUBLISH', ARGV[2] .. process, ARGV[3]) > 0 then
      told[#told + 1] = process
    else
      silent = silent + 1
    end
  end
end
return {told, silent}
