#!lua
-- mark-imported.lua: records imported sessions and their users. A second import skips these sessions, even ended ones, and the marker
-- of a legacy token names its user.
--
-- KEYS       the markers, hashes: id, the user's id in JSON. One in a Cluster
-- ARGV[1..2] see common.lua
-- ARGV[3..]  for each marker: expiresAt:user; Unix seconds, and the id in JSON
--
-- Reply: { 'done', nowMs, user, … }; the user of each marker, which an earlier import may have set

-- include common.lua

local reply = { 'done', nowMs }
for i = 1, #ARGV - 2 do
  local expires, id = string.match(ARGV[2 + i], '^(%d+):(.*)$')
  local owner = redis.call('HMGET', KEYS[i], 'id')[1]
  if not owner then
    owner = id
    redis.call('HSET', KEYS[i], 'id', id)
    redis.call('EXPIREAT', KEYS[i], expires)
  end
  reply[2 + i] = owner
end
return reply
