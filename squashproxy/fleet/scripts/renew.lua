-- Extend a lease, and write down the progress: 'held', 'lost', 'unwanted', or 'vanished' where the
-- record has to be restored.
-- PEXPIRE comes first: it works on a broker that is full, and so does what follows it.
local id, token, lease, progress, warnings = unpack(ARGV)
local job = job_key(id)
local holder = redis.call('GET', lease_key(id))
local had = redis.call('HMGET', job, 'state', 'token', 'unwanted')
if holder and holder ~= token then return 'lost' end
if not had[1] or had[1] == 'queued' then return 'vanished' end
if had[1] ~= 'running' or had[2] ~= token then return 'lost' end
if holder then
  redis.call('PEXPIRE', lease_key(id), lease)
else
  redis.call('SET', lease_key(id), token, 'PX', lease)
end
if had[3] then return 'unwanted' end
if progress ~= '' then
  redis.call('HSET', job, 'progress', progress)
  if warnings ~= '' then redis.call('HSET', job, 'warnings', warnings) end
  tell(id)
end
return 'held'
