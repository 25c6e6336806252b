#!lua
-- update-profile.lua: changes the profile that the next refresh returns, and announces the change. Without a session,
-- remembers the profile for log-ins under way.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  email, '' to keep
-- ARGV[5]  role, '' to keep
-- ARGV[6]  the user's claims in JSON, '' to keep
--
-- Reply: { 'updated' | 'absent', nowMs, ended }

-- include profile.lua

local live = liveSessions()
settle(live)
setProfile({ ARGV[4], ARGV[5], ARGV[6] }, false, #live > 0)
-- Even if the record has this profile already: a log-in under way may carry an older one that was never written here.
rememberChange(nowMs / 1000)
if #live == 0 then
  redis.call('EXPIREAT', key, now + MEMORY)
  return { 'absent', nowMs, ended }
end
settle(live)
return { 'updated', nowMs, ended }
