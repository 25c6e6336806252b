#!lua flags=allow-oom
-- erase.lua: removes everything stored about a user, the remembered times included, and announces the end of each session.
-- Works on a full Redis too.
--
-- KEYS, ARGV[1..3]  see common.lua
--
-- Reply: { 'erased', nowMs, ended }

-- include common.lua

for _, session in ipairs(liveSessions()) do announce('logout', session.sid) end
-- The field makes this call write even if nothing is stored: a replica may still lack an earlier call's removal, and WAIT
-- counts from the connection's own last write.
redis.call('HSET', key, 'w', '')
redis.call('DEL', key)
return { 'erased', nowMs, ended }
