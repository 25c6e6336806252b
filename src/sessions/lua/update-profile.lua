#!lua
-- update-profile.lua: changes what the next refresh answers with, and announces it. Without a session, remembers it for
-- log-ins under way.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  email, '' to keep
-- ARGV[5]  role, '' to keep
--
-- Reply: { 'updated' | 'absent', nowMs, pruned }

-- include profile.lua

local live = liveSessions()
settle(live)
setProfile(ARGV[4], ARGV[5], #live > 0)
-- Also when the record says so already: the log-in under way may know a profile that never came here.
rememberChange(nowMs / 1000)
if #live == 0 then
  redis.call('EXPIREAT', key, now + MEMORY)
  return { 'absent', nowMs, pruned }
end
settle(live)
return { 'updated', nowMs, pruned }
