-- Say that this process is alive: '' if it may take part, else a process of a strange configuration.
local name, marks, beat, facts = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local members, at = prefix .. ':members', now()
redis.call('ZREMRANGEBYSCORE', members, '-inf', at - beat)
local mine, strange = cjson.decode(marks), ''
local own = {}
for _, mark in ipairs(mine) do own[mark] = true end
if #mine > 0 and not redis.call('ZSCORE', members, name) then
  for _, other in ipairs(redis.call('ZRANGE', members, 0, -1)) do
    local theirs = redis.call('HGET', prefix .. ':member:' .. other, 'marks')
    local listed, shared = theirs and cjson.decode(theirs) or {}, false
    for _, mark in ipairs(listed) do shared = shared or own[mark] end
    if shared then strange = '' break end
    if #listed > 0 then strange = other end
  end
end
if strange ~= '' then return strange end
local key = prefix .. ':member:' .. name
if redis.call('HSETNX', key, 'joined', at) then end
redis.call('HSET', key, 'marks', marks, 'facts', facts, 'seen', at)
redis.call('PEXPIRE', key, beat)
redis.call('ZADD', members, at, name)
return ''
