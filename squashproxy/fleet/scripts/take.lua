-- Give a job to a worker that was told of it: {'taken', kind, title, body, queue}, or why not.
-- The same call with the same token may come twice, after a connection that broke. DEL comes before
-- other writes: it works on a broker that is full, and so does what follows it.
local id, token, worker, version, lease, most, keep, error = unpack(ARGV)
local job, at = job_key(id), now()
local had = redis.call('HMGET', job, 'state', 'version', 'kind', 'title', 'body', 'queue',
  'deliveries')
local state = had[1]
if not state then return {'gone'} end
if state ~= 'queued' and state ~= 'running' then return {'over'} end
local holder = redis.call('GET', lease_key(id))
if holder == token then return {'taken', had[3], had[4], had[5], had[6]} end
if holder then return {'leased'} end
if had[2] ~= version then return {'version'} end
redis.call('DEL', lease_key(id))
local deliveries = tonumber(had[7])
if deliveries >= tonumber(most) then
  redis.call('HSET', job, 'error', error)
  enter_end(id, 'parked', at, keep)
  return {'parked'}
end
redis.call('SET', lease_key(id), token, 'PX', lease)
leave_state(id)
redis.call('HSET', job, 'state', 'running', 'since', at, 'started', at, 'worker', worker,
  'token', token, 'deliveries', deliveries + 1)
redis.call('HINCRBY', job, 'attempt', 1)
redis.call('HDEL', job, 'progress')
redis.call('ZADD', state_key('running'), at, id)
redis.call('HINCRBY', prefix .. ':counters', 'deliveries', 1)
if deliveries > 0 then redis.call('HINCRBY', prefix .. ':counters', 'redeliveries', 1) end
tell(id)
return {'taken', had[3], had[4], had[5], had[6]}
