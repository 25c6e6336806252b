#!lua flags=allow-oom
-- revoke-all.lua: ends every session of a user, and remembers when, to refuse log-ins under way. Works on a full Redis too:
-- only one small field remains.
--
-- KEYS, ARGV[1..3]  see common.lua
--
-- Reply: { 'revoked', nowMs, count, { sid, … }, pruned }

-- include common.lua

local live = liveSessions()
-- Deletes the profile as well: log-ins older than the log-out are refused, and newer ones bring their own profile.
redis.call('DEL', key)
redis.call('HSET', key, 'loggedOutAt', string.format('%.3f', nowMs / 1000))
redis.call('EXPIREAT', key, now + MEMORY)
local sids = {}
for i, session in ipairs(live) do
  announce('logout', session.sid)
  sids[i] = session.sid
end
return { 'revoked', nowMs, #live, sids, pruned }
