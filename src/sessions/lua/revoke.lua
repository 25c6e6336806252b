#!lua flags=allow-oom
-- revoke.lua: ends one session. Works on a full Redis too: it only frees memory.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
-- ARGV[5]  reason to announce, 'logout' if absent
--
-- Reply: { 'revoked' | 'absent', nowMs, pruned }; a session that had expired is among the pruned

-- include common.lua

local others, revoked = {}, false
for _, session in ipairs(liveSessions()) do
  if session.sid == ARGV[4] then
    remove(session.sid, ARGV[5] or 'logout')
    revoked = true
  else
    others[#others + 1] = session
  end
end
settle(others)

-- Nothing to do: an earlier call may have done it, and a replica may still lack that. By its documentation WAIT counts
-- from the connection's own last write (Redis 7 does from its last command), so this writes what does not stay.
if not revoked then
  redis.call('HSET', key, 'w', '')
  redis.call('HDEL', key, 'w')
end
return { revoked and 'revoked' or 'absent', nowMs, pruned }
