-- Queue what runs without a lease, find queues whose messages were lost, forget what is over: a list
-- of {id, queue, version} that need a message. One process does it at a time.
-- DEL comes first: it works on a broker that is full, and so does what follows it.
local me, pause, most, keep, error, messages, batch = unpack(ARGV)
redis.call('DEL', prefix .. ':none')
if not redis.call('SET', prefix .. ':reaper', me, 'NX', 'PX', pause) then return {} end
local at, found = now(), {}
for _, id in ipairs(redis.call('ZRANGE', state_key('running'), 0, -1)) do
  local job = job_key(id)
  if redis.call('EXISTS', lease_key(id)) == 0 then
    local deliveries = tonumber(redis.call('HGET', job, 'deliveries') or '')
    if not deliveries then
      redis.call('ZREM', state_key('running'), id)
    elseif redis.call('HEXISTS', job, 'unwanted') == 1 then
      leave_state(id)
      redis.call('DEL', job)
    elseif deliveries >= tonumber(most) then
      redis.call('HSET', job, 'error', error)
      enter_end(id, 'parked', at, keep)
    else
      leave_state(id)
      redis.call('HDEL', job, 'progress')
      enqueue(id, at)
      tell(id)
    end
  end
end
for _, name in ipairs(redis.call('SMEMBERS', prefix .. ':queues')) do
  local queue, version = string.match(name, '^([^:]+):(.+)$')
  local key = queue_key(queue, version)
  local count = redis.call('ZCARD', key)
  if count == 0 then redis.call('SREM', prefix .. ':queues', name) end
  for _, each in ipairs(lacking(messages, queue, version)) do
    if redis.call('EXISTS', job_key(each[1])) == 0 then
      redis.call('ZREM', key, each[1])
    else
      found[#found + 1] = each
    end
  end
end
for _, state in ipairs({'done', 'failed', 'parked'}) do
  local key = state_key(state)
  for _, id in ipairs(redis.call('ZRANGE', key, 0, tonumber(batch))) do
    if redis.call('HGET', job_key(id), 'state') ~= state then redis.call('ZREM', key, id) end
  end
end
return found
