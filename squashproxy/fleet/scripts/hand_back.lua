-- Put a job back into its queue, as if it had not been delivered: {id, queue, version} or {}.
-- One whose lease ended before was queued by reap.lua, which left the token.
local id, token = unpack(ARGV)
local job, at = job_key(id), now()
local holder = redis.call('GET', lease_key(id))
local had = redis.call('HMGET', job, 'state', 'token', 'deliveries')
if holder and holder ~= token then return {} end
if had[2] ~= token then return {} end
local less = math.max(0, tonumber(had[3] or '0') - 1)
if had[1] == 'queued' then
  redis.call('HSET', job, 'deliveries', less)
  redis.call('HDEL', job, 'token')
end
if had[1] ~= 'running' then return {} end
redis.call('DEL', lease_key(id))
leave_state(id)
redis.call('HSET', job, 'deliveries', less)
redis.call('HDEL', job, 'token', 'progress')
local found = enqueue(id, at)
tell(id)
return found
