-- new-session.lua: adds a session to a record. Included by open.lua and import.lua, never run alone.

-- include profile.lua

-- Writes a session, `value` from `format`, and the profile that setProfile returned. Readers find an email and a role in the record of
-- every session. label, claims, client and jkt are '' for none of each.
local function addSession (sid, value, profile, label, claims, client, jkt)
  redis.call('HSET', key, 'email', profile[1], 'role', profile[2], 's:' .. sid, value)
  if label ~= '' then redis.call('HSET', key, 'l:' .. sid, label) end
  if claims ~= '' then redis.call('HSET', key, 'c:' .. sid, claims) end
  if client ~= '' then redis.call('HSET', key, 'o:' .. sid, client) end
  if jkt ~= '' then redis.call('HSET', key, 'k:' .. sid, jkt) end
end
