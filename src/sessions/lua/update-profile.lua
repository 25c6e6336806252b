#!lua
-- update-profile.lua: changes what the next refresh answers with.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  email, '' to keep
-- ARGV[5]  role, '' to keep
--
-- Reply: { 'updated' | 'absent', nowMs }

-- include common.lua

local live = liveSessions()
settle(live)
if #live == 0 then return { 'absent', nowMs } end

if ARGV[4] ~= '' then redis.call('HSET', key, 'email', ARGV[4]) end
if ARGV[5] ~= '' then redis.call('HSET', key, 'role', ARGV[5]) end
return { 'updated', nowMs }
