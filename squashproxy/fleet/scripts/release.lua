-- Give up a lease, if it is one's own.
local key = prefix .. ':' .. ARGV[1]
if redis.call('GET', key) == ARGV[2] then redis.call('DEL', key) end
