-- Say that this process ends.
redis.call('ZREM', prefix .. ':members', ARGV[1])
redis.call('DEL', prefix .. ':member:' .. ARGV[1])
