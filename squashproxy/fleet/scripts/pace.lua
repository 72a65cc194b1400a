-- The microseconds until the next request to a host may be sent; each caller gets a slot of its own.
local host, gap = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local at = tonumber(time[1]) * 1000000 + tonumber(time[2])
local key = prefix .. ':bucket:' .. host
local slot = math.max(at, tonumber(redis.call('GET', key) or '0'))
local wait = slot - at
local after = math.floor((wait + gap) / 1000) + 1000
redis.call('SET', key, string.format('%.0f', slot + gap), 'PX', string.format('%.0f', after))
if wait > 0 then
  redis.call('HINCRBYFLOAT', prefix .. ':counters', 'wait:' .. host, string.format('%.6f', wait / 1000000))
end
return string.format('%.0f', wait)
