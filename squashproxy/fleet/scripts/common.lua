-- Begins every script. All times are the broker's, in milliseconds: the clocks of machines differ.
-- Scripts run on one server, never on a cluster, so they make up the names of keys themselves.
local prefix = KEYS[1]

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function job_key(id) return prefix .. ':job:' .. id end
local function lease_key(id) return prefix .. ':lease:' .. id end
local function state_key(state) return prefix .. ':state:' .. state end
local function queue_key(queue, version) return prefix .. ':queued:' .. queue .. ':' .. version end

-- Take a job out of the set of its state, as its record has it.
local function leave_state(id)
  local had = redis.call('HMGET', job_key(id), 'state', 'queue', 'version')
  if had[1] == 'queued' then
    redis.call('ZREM', queue_key(had[2], had[3]), id)
  elseif had[1] then
    redis.call('ZREM', state_key(had[1]), id)
  end
end

-- Put a job into a queue; its place is that of its submission.
local function enqueue(id, at)
  local job = redis.call('HMGET', job_key(id), 'queue', 'version', 'submitted')
  redis.call('HSET', job_key(id), 'state', 'queued', 'since', at)
  redis.call('PERSIST', job_key(id))
  redis.call('ZADD', queue_key(job[1], job[2]), job[3], id)
  redis.call('SADD', prefix .. ':queues', job[1] .. ':' .. job[2])
  return {id, job[1], job[2]}
end

-- The messages that a queue lacks: a list of {id, queue, version}. While jobs are queued, two messages
-- wait for a process that has nothing to do, or are on their way to one; each process that takes a
-- job sees to that. `messages` is the name of the list of a queue's messages, with QUEUE and VERSION
-- in it.
local function lacking(messages, queue, version)
  local list = string.gsub(string.gsub(messages, 'QUEUE', queue), 'VERSION', version)
  local count, found = 2 - redis.call('LLEN', list), {}
  if count <= 0 then return found end
  for _, id in ipairs(redis.call('ZRANGE', queue_key(queue, version), 0, count - 1)) do
    found[#found + 1] = {id, queue, version}
  end
  return found
end

-- Tell those who wait for a job that it changed: its ID is enough, they read the record. With
-- `began`, only those that want to know that it runs.
local function tell(id, began)
  local waiters = redis.call('HGET', job_key(id), 'waiters') or ''
  for channel in string.gmatch(waiters, '%S+') do
    if not (began and string.find(channel, ':ends:', 1, true)) then
      redis.call('PUBLISH', channel, id)
    end
  end
end

-- A job is over: its record stays for `keep` milliseconds.
local function enter_end(id, state, at, keep)
  leave_state(id)
  redis.call('HSET', job_key(id), 'state', state, 'since', at, 'ended', at)
  redis.call('HDEL', job_key(id), 'unwanted', 'progress')
  if state == 'done' then redis.call('HDEL', job_key(id), 'body') end
  redis.call('ZADD', state_key(state), at, id)
  redis.call('PEXPIRE', job_key(id), keep)
  tell(id)
end
