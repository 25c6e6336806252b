#!lua flags=no-writes
-- find.lua: returns one session as it stands. Read-only: it prunes and announces nothing, and Redis refuses its writes, so
-- it also runs on a full server and on a read-only replica.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
--
-- Reply: { 'found', nowMs, gen, createdAt, rotatedAt, expiresAt, email, role } or { 'absent', nowMs }

-- include common.lua

local record = redis.call('HMGET', key, 's:' .. ARGV[4], 'email', 'role')
if not record[1] then return { 'absent', nowMs } end

local gen, created, rotated, expires = parse(record[1])
if not gen or not record[2] or not record[3] then
  return redis.error_reply('ERR the record ' .. key .. ' is damaged')
end

if now >= expires then return { 'absent', nowMs } end
return { 'found', nowMs, gen, created, rotated, expires, record[2], record[3] }
