#!lua
-- update-profile.lua: changes what the next refresh answers with, and announces it.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  email, '' to keep
-- ARGV[5]  role, '' to keep
--
-- Reply: { 'updated' | 'absent', nowMs, pruned }

-- include profile.lua

local live = liveSessions()
settle(live)
if #live == 0 then return { 'absent', nowMs, pruned } end

setProfile(ARGV[4], ARGV[5])
return { 'updated', nowMs, pruned }
