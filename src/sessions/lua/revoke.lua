#!lua flags=allow-oom
-- revoke.lua: ends one session. Works on a full Redis too: it only frees memory.
--
-- A client that logs out is authentic, so it gives its device and its OAuth client: a stolen token without them ends nothing. It
-- proves no key: standard clients send no proof with a revocation.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
-- ARGV[5]  reason to announce
-- ARGV[6]  device, hashed, '-' for none; absent to end the session of any device and client
-- ARGV[7]  the OAuth client, '' for none
--
-- Reply: { 'revoked' | 'absent', nowMs, ended }; an expired session is absent
--     or { 'device_mismatch' | 'client_mismatch', nowMs }, nothing done

-- include common.lua

local record = ARGV[6] and redis.call('HMGET', key, 's:' .. ARGV[4], 'o:' .. ARGV[4]) or {}
local gen, _, _, _, device = parse(record[1] or '')
-- An imported session that is not refreshed yet may have no device.
if device and device ~= ARGV[6] and (device ~= '-' or gen > 0) then return { 'device_mismatch', nowMs } end
if record[2] and record[2] ~= ARGV[7] then return { 'client_mismatch', nowMs } end

local others, revoked = {}, false
for _, session in ipairs(liveSessions()) do
  if session.sid == ARGV[4] then
    remove(session.sid, ARGV[5])
    revoked = true
  else
    others[#others + 1] = session
  end
end
settle(others)

-- Without a session to end: an earlier call may have ended it, and a replica may still lack that write. WAIT counts from the
-- connection's own last write by its documentation (from its last command in Redis 7), so write a field and delete it.
if not revoked then
  redis.call('HSET', key, 'w', '')
  redis.call('HDEL', key, 'w')
end
return { revoked and 'revoked' or 'absent', nowMs, ended }
