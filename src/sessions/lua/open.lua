#!lua
-- open.lua: opens a session, sets the profile (announced when it changes), and keeps the user within the cap.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
-- ARGV[5]  device, hashed
-- ARGV[6]  label, '' for none
-- ARGV[7]  email
-- ARGV[8]  role
-- ARGV[9]  idle TTL, seconds
-- ARGV[10] absolute TTL, seconds
-- ARGV[11] cap on the user's sessions
--
-- Reply: { 'opened', nowMs, gen, createdAt, expiresAt, replaced, evicted, pruned }

-- include profile.lua

local sid, device, label, email, role = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local idle, absolute, cap = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])

-- One session a device: the older one is replaced.
local others, replaced, evicted = {}, 0, 0
for _, session in ipairs(liveSessions()) do
  if session.device == device then
    remove(session.sid, 'replaced')
    replaced = replaced + 1
  else
    others[#others + 1] = session
  end
end

-- The least recently used make room; of those last used in one second, the one that was opened first, as far as seconds
-- and the order of the hash can tell.
table.sort(others, function (a, b)
  if a.rotated ~= b.rotated then return a.rotated > b.rotated end
  if a.created ~= b.created then return a.created > b.created end
  return a.place > b.place
end)
while #others >= cap do
  remove(table.remove(others).sid, 'evicted')
  evicted = evicted + 1
end

local expires = now + math.min(idle, absolute)
setProfile(email, role)
redis.call('HSET', key, 's:' .. sid, format(1, now, now, expires, device))
if label ~= '' then redis.call('HSET', key, 'l:' .. sid, label) end

others[#others + 1] = { expires = expires }
settle(others)
return { 'opened', nowMs, 1, now, expires, replaced, evicted, pruned }
