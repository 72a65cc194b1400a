-- One who waited gives up. If nobody else wants the job, it goes where it is queued, and is unwanted
-- where it runs.
local id, waiter = unpack(ARGV)
local job = job_key(id)
local had = redis.call('HMGET', job, 'state', 'waiters', 'kept')
if not had[1] then return end
local others = {}
for channel in string.gmatch(had[2], '%S+') do
  if channel ~= waiter then others[#others + 1] = channel end
end
redis.call('HSET', job, 'waiters', table.concat(others, ' '))
if #others > 0 or had[3] == '1' then return end
if had[1] == 'queued' then
  leave_state(id)
  redis.call('DEL', job)
elseif had[1] == 'running' then
  redis.call('HSET', job, 'unwanted', 1)
end
