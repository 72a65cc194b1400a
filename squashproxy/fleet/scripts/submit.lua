-- Join a live job, or begin it anew: {what was done, its queue, whether a message is to be sent}.
-- A parked job stays parked.
local id, kind, title, body, queue, version, waiter, messages = unpack(ARGV)
local job, at = job_key(id), now()
local had = redis.call('HMGET', job, 'state', 'queue', 'version', 'waiters')
local state = had[1]
if state == 'parked' then return {'parked'} end
-- Whoever does not wait for a job cannot give it up, so nobody else does it for them.
local kept = waiter == '' and 1 or 0
if state == 'queued' or state == 'running' then
  if waiter ~= '' and not string.find(' ' .. had[4] .. ' ', ' ' .. waiter .. ' ', 1, true) then
    redis.call('HSET', job, 'waiters', had[4] .. ' ' .. waiter)
  end
  redis.call('HDEL', job, 'unwanted')
  if kept == 1 then redis.call('HSET', job, 'kept', kept) end
  local sooner = queue == 'interactive' and had[2] ~= queue
  if state == 'queued' and (had[3] ~= version or sooner) then
    leave_state(id)
    if not sooner then queue = had[2] end
    redis.call('HSET', job, 'queue', queue, 'version', version, 'body', body)
    enqueue(id, at)
    return {'moved', queue, #lacking(messages, queue, version)}
  end
  return {'joined'}
end
if state then leave_state(id) end
redis.call('HSET', job, 'kind', kind, 'title', title, 'body', body, 'queue', queue,
  'version', version, 'waiters', waiter, 'submitted', at, 'deliveries', 0, 'attempt', 0,
  'kept', kept)
redis.call('HDEL', job, 'worker', 'token', 'started', 'ended', 'progress', 'warnings', 'result',
  'error', 'unwanted')
enqueue(id, at)
return {'new', queue, #lacking(messages, queue, version)}
