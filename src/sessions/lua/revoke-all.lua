#!lua flags=allow-oom
-- revoke-all.lua: ends every session of a user, and keeps the time for log-ins under way. Works on a full Redis too: it
-- leaves one small field.
--
-- KEYS, ARGV[1..3]  see common.lua
--
-- Reply: { 'revoked', nowMs, count, { sid, … }, pruned }

-- include common.lua

local live = liveSessions()
-- The profile goes as well: what is older than the log-out is refused, and what is newer brings its own.
redis.call('DEL', key)
redis.call('HSET', key, 'loggedOutAt', string.format('%.3f', nowMs / 1000))
redis.call('EXPIREAT', key, now + MEMORY)
local sids = {}
for i, session in ipairs(live) do
  announce('logout', session.sid)
  sids[i] = session.sid
end
return { 'revoked', nowMs, #live, sids, pruned }
