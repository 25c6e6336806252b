#!lua flags=no-writes
-- permissions.lua: which of the commands that the scripts call this user may not run. Asks only, with no effect, so it
-- also runs on a full server and on a read-only replica.
--
-- ARGV[1]  a key of the records. No KEYS: it is not accessed, and any server of a Cluster can tell.
-- ARGV[2]  the channel of announcements
--
-- Reply: the names of what is forbidden; none when all is well

local key, channel = ARGV[1], ARGV[2]
local calls = {
  { 'EVALSHA', '', '1', key },
  { 'TIME' },
  { 'HMGET', key, 'email' },
  { 'HGETALL', key },
  { 'HSET', key, 'email', '' },
  { 'HDEL', key, 'email' },
  { 'EXPIREAT', key, '0' },
  { 'DEL', key },
  { 'PUBLISH', channel, '' }
}
local forbidden = {}
for _, call in ipairs(calls) do
  if not redis.acl_check_cmd(unpack(call)) then forbidden[#forbidden + 1] = call[1] end
end
return forbidden
