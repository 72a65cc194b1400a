-- Write a running job's record again, which the broker lost, or queued since its lease had ended.
local id, token, lease, worker, kind, title, body, queue, version = unpack(ARGV)
local job, at = job_key(id), now()
local holder = redis.call('GET', lease_key(id))
if holder and holder ~= token then return 'lost' end
local had = redis.call('HMGET', job, 'state', 'token', 'deliveries')
if had[1] == 'running' and had[2] ~= token then return 'lost' end
if had[1] and had[1] ~= 'running' and had[1] ~= 'queued' then return 'lost' end
if had[1] then
  leave_state(id)
  redis.call('HSET', job, 'state', 'running', 'since', at, 'started', at, 'token', token,
    'worker', worker, 'deliveries', math.max(1, tonumber(had[3])))
  redis.call('HINCRBY', job, 'attempt', 1)
else
  redis.call('HSET', job, 'kind', kind, 'title', title, 'body', body, 'queue', queue,
    'version', version, 'waiters', '', 'submitted', at, 'deliveries', 1, 'attempt', 1,
    'state', 'running', 'since', at, 'started', at, 'token', token, 'worker', worker, 'kept', 1)
end
redis.call('SET', lease_key(id), token, 'PX', lease)
redis.call('ZADD', state_key('running'), at, id)
tell(id)
return 'held'
