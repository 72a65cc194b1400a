-- Queue a parked or failed job again, its deliveries forgotten: {'again', queue} or {state}.
local id, version = unpack(ARGV)
local job, at = job_key(id), now()
local state = redis.call('HGET', job, 'state')
if state ~= 'parked' and state ~= 'failed' then return {state or ''} end
leave_state(id)
redis.call('HSET', job, 'deliveries', 0, 'version', version, 'submitted', at)
redis.call('HDEL', job, 'error', 'result', 'token', 'ended', 'worker', 'warnings')
return {'again', enqueue(id, at)[2]}
