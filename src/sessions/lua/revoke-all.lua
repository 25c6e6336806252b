#!lua flags=allow-oom
-- revoke-all.lua: ends every session of a user. Works on a full Redis too: it only frees memory.
--
-- KEYS, ARGV[1..3]  see common.lua
--
-- Reply: { 'revoked', nowMs, count, { sid, … }, pruned }

-- include common.lua

local live = liveSessions()
if redis.call('DEL', key) == 0 then touch() end
local sids = {}
for i, session in ipairs(live) do
  announce('logout', session.sid)
  sids[i] = session.sid
end
return { 'revoked', nowMs, #live, sids, pruned }
