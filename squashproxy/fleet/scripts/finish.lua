-- End a job with its result or error, by the one who holds its lease: 'finished' or 'lost'.
-- DEL comes first: it works on a broker that is full, and so does what follows it.
local id, token, state, result, error, warnings, keep = unpack(ARGV)
local job, at = job_key(id), now()
local holder = redis.call('GET', lease_key(id))
local had = redis.call('HMGET', job, 'state', 'token')
if holder and holder ~= token then return 'lost' end
if not holder and had[2] ~= token then return 'lost' end
if not had[1] or (had[1] ~= 'running' and not holder) then return 'finished' end
redis.call('DEL', lease_key(id))
redis.call('HSET', job, 'result', result, 'error', error, 'warnings', warnings)
redis.call('HDEL', job, 'progress')
enter_end(id, state, at, keep)
return 'finished'
