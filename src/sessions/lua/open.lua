#!lua
-- open.lua: opens a session, sets the profile (each announced, the profile only when it changes), and keeps the user within the cap. A log-in
-- that began before the user logged out everywhere opens no session; one that began before the profile changed keeps the
-- newer profile.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
-- ARGV[5]  device, hashed, '-' for none
-- ARGV[6]  label, '' for none
-- ARGV[7]  email, '' to keep the record's
-- ARGV[8]  role, '' to keep the record's
-- ARGV[9]  idle TTL, seconds
-- ARGV[10] absolute TTL, seconds
-- ARGV[11] cap on the user's sessions
-- ARGV[12] when the log-in began, Unix seconds with or without a fraction, '' if not given
-- ARGV[13] the session's own idle TTL, seconds, '' for none
-- ARGV[14] the session's own absolute TTL, seconds, '' for none
-- ARGV[15] the user's claims in JSON, '' to keep the record's
-- ARGV[16] the session's claims in JSON, '' for none
-- ARGV[17] the OAuth client, '' for none
-- ARGV[18] the thumbprint of the key that every refresh must prove (DPoP), '' for none
--
-- Reply: { 'opened', nowMs, gen, createdAt, expiresAt, email, role, claims, ended }; the user's claims in JSON; '' for none of each
--     or { 'logged_out' | 'ahead', nowMs }, nothing done: the user has logged out everywhere since, or ARGV[12] is in the future

-- include new-session.lua

local sid, device, label = ARGV[4], ARGV[5], ARGV[6]
local idle, absolute, cap = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local authenticatedAt = tonumber(ARGV[12])
local ownIdle, ownAbsolute = tonumber(ARGV[13]), tonumber(ARGV[14])
local sessionClaims, client, jkt = ARGV[16], ARGV[17], ARGV[18]

if authenticatedAt then
  -- Clocks differ by less than a minute. Milliseconds given as seconds differ by more.
  if authenticatedAt > nowMs / 1000 + 60 then return { 'ahead', nowMs } end
  local last = tonumber(redis.call('HMGET', key, 'loggedOutAt')[1])
  if last and authenticatedAt < last then return { 'logged_out', nowMs } end
end

local live = liveSessions()
if #live == 0 then settle(live) end

-- One session per device: the older one is replaced. Sessions without a device have none in common.
local others = {}
for _, session in ipairs(live) do
  if session.device == device and device ~= '-' then
    remove(session.sid, 'replaced')
  else
    others[#others + 1] = session
  end
end

-- Evicts the least recently used sessions first. Sessions used in the same second are evicted in the order they were
-- opened; those also opened in the same second, in the order of the hash.
table.sort(others, function (a, b)
  if a.rotated ~= b.rotated then return a.rotated > b.rotated end
  if a.created ~= b.created then return a.created > b.created end
  return a.place > b.place
end)
while #others >= cap do
  remove(table.remove(others).sid, 'evicted')
end

local expires = now + math.min(idle, absolute)
if ownIdle then expires = math.min(expires, now + ownIdle) end
if ownAbsolute then expires = math.min(expires, now + ownAbsolute) end
local isOlder = authenticatedAt and profileChangedAt and authenticatedAt < profileChangedAt
local changed, profile = setProfile({ ARGV[7], ARGV[8], ARGV[15] }, isOlder, #live > 0)
if changed and not isOlder then
  rememberChange(math.min(authenticatedAt or nowMs / 1000, nowMs / 1000))
end
local value = format(1, now, now, expires, device, '-', ownIdle, ownAbsolute, client ~= '' or jkt ~= '')
addSession(sid, value, profile, label, sessionClaims, client, jkt)

others[#others + 1] = { expires = expires }
settle(others)
announceOpening(sid)
return { 'opened', nowMs, 1, now, expires, profile[1], profile[2], profile[3], ended }
