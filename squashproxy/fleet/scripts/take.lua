-- Give a job to a worker: {'taken', id, kind, title, body, queue, messages}, or why not. The job is
-- `id`; if that is empty, or not to be had, the first of `queues` that is. A job that was delivered
-- too often is parked instead, and the next one is looked at. `messages` are those that the queues
-- lack.
-- The same call may come twice, in any order, after a connection that broke: the job that the token
-- has is given again, with a whole lease, since the worker counts it from the last call.
-- On a broker that is not the `server` that the worker knows: {'server', its name}.
-- DEL comes before other writes: it works on a broker that is full, and so does what follows it.
local id, token, worker, version, lease, most, keep, error, server, queues, messages =
  unpack(ARGV)
local at = now()
if server ~= '' then
  local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') or ''
  if run ~= server then return {'server', run} end
end

local took = prefix .. ':took:' .. token

local function given(which)
  local had = redis.call('HMGET', job_key(which), 'kind', 'title', 'body', 'queue')
  local found = {}
  for queue in string.gmatch(queues, '%S+') do
    for _, each in ipairs(lacking(messages, queue, version)) do found[#found + 1] = each end
  end
  return {'taken', which, had[1], had[2], had[3], had[4], found}
end

local function take(which)
  local job = job_key(which)
  local had = redis.call('HMGET', job, 'state', 'version', 'deliveries')
  if not had[1] then return {'gone'} end
  if had[1] ~= 'queued' and had[1] ~= 'running' then return {'over'} end
  local holder = redis.call('GET', lease_key(which))
  if holder then return {'leased'} end
  if had[2] ~= version then return {'version'} end
  redis.call('DEL', lease_key(which))
  local deliveries = tonumber(had[3])
  if deliveries >= tonumber(most) then
    redis.call('HSET', job, 'error', error)
    enter_end(which, 'parked', at, keep)
    return {'parked'}
  end
  redis.call('SET', lease_key(which), token, 'PX', lease)
  redis.call('SET', took, which, 'PX', lease)
  leave_state(which)
  redis.call('HSET', job, 'state', 'running', 'since', at, 'started', at, 'worker', worker,
    'token', token, 'deliveries', deliveries + 1)
  redis.call('HINCRBY', job, 'attempt', 1)
  redis.call('HDEL', job, 'progress')
  redis.call('ZADD', state_key('running'), at, which)
  redis.call('HINCRBY', prefix .. ':counters', 'deliveries', 1)
  if deliveries > 0 then redis.call('HINCRBY', prefix .. ':counters', 'redeliveries', 1) end
  tell(which, true)
  return given(which)
end

local before = redis.call('GET', took)
if before and redis.call('GET', lease_key(before)) == token then
  redis.call('PEXPIRE', lease_key(before), lease)
  return given(before)
end
local found = {'none'}
if id ~= '' then
  found = take(id)
  if found[1] == 'taken' then return found end
end
for queue in string.gmatch(queues, '%S+') do
  local key = queue_key(queue, version)
  for _, each in ipairs(redis.call('ZRANGE', key, 0, 99)) do
    local one = take(each)
    if one[1] == 'taken' then return one end
    if one[1] == 'gone' or one[1] == 'over' then redis.call('ZREM', key, each) end
  end
end
return found
