-- Take or extend a lease of one's own: '' if that was done, else who has it.
local key, token, lease = prefix .. ':' .. ARGV[1], ARGV[2], ARGV[3]
local holder = redis.call('GET', key)
if holder and holder ~= token then return holder end
if holder then
  redis.call('PEXPIRE', key, lease)
else
  redis.call('SET', key, token, 'PX', lease)
end
return ''
