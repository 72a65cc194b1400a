-- End a job with its result or error, by the one who holds its lease, or held it last: 'finished'
-- or 'lost'. The same call may come twice.
-- DEL comes first: it works on a broker that is full, and so does what follows it.
local id, token, state, result, error, warnings, keep = unpack(ARGV)
local job, at = job_key(id), now()
local holder = redis.call('GET', lease_key(id))
local had = redis.call('HMGET', job, 'state', 'token')
if holder and holder ~= token then return 'lost' end
if had[1] and had[1] ~= 'running' and had[1] ~= 'queued' then
  return had[2] == token and 'finished' or 'lost'
end
if had[1] and not holder and had[2] ~= token then return 'lost' end
redis.call('DEL', lease_key(id))
if not had[1] then return 'finished' end
redis.call('HSET', job, 'token', token, 'result', result, 'error', error, 'warnings', warnings)
enter_end(id, state, at, keep)
return 'finished'
