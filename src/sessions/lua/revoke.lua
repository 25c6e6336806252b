#!lua flags=allow-oom
-- revoke.lua: ends one session. Works on a full Redis too: it only frees memory.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
-- ARGV[5]  reason to announce, 'logout' if absent
--
-- Reply: { 'revoked' | 'absent', nowMs, pruned }

-- include common.lua

local removed = remove(ARGV[4], ARGV[5] or 'logout')
settle(liveSessions())
if not removed then touch() end
return { removed and 'revoked' or 'absent', nowMs, pruned }
