#!lua flags=allow-oom
-- revoke-all.lua: ends every session of a user, or all but one, and remembers when, to refuse log-ins under way. Works on a
-- full Redis too: only one small field is added.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid of the session to keep, '' for none
--
-- Reply: { 'revoked', nowMs, ended }

-- include common.lua

local kept = {}
for _, session in ipairs(liveSessions()) do
  if session.sid == ARGV[4] then
    kept[1] = session
  else
    remove(session.sid, 'logout')
  end
end
-- Without a session deletes the profile as well: log-ins older than the log-out are refused, and newer ones bring their own.
if #kept == 0 then redis.call('DEL', key) end
loggedOutAt = nowMs / 1000
redis.call('HSET', key, 'loggedOutAt', string.format('%.3f', loggedOutAt))
settle(kept)
return { 'revoked', nowMs, ended }
