#!lua
-- import.lua: writes sessions that another service, or another deployment of this one, has opened. A session that exists stays as it
-- is, and so does a known value of the profile: the record is newer.
--
-- KEYS       the record of each session; a record may come several times. One in a Cluster
-- ARGV[1..2] see common.lua
-- ARGV[3]    absolute TTL, seconds
-- ARGV[4]    cap on the sessions of a user
-- ARGV[5..]  for each session, in JSON: [user, sid, gen, createdAt, rotatedAt, expiresAt, device, attempt, idle, absolute, label, email,
--            role, userClaims, sessionClaims, client, jkt]. user and claims are JSON texts; gen is 0 for a legacy token.
--            '' means now for createdAt, createdAt for rotatedAt, the longest lifetime for expiresAt, else none. device, and
--            attempt (the Idempotency-Key of the last rotation), are hashed, '-' for none
--
-- Reply: { 'done', nowMs, ... } with the result of each session, in their order:
--        { 'imported' | 'kept', expiresAt }, written now, or it exists
--     or { 'expired' | 'too_old' | 'ahead' | 'logged_out' | 'full' }, no session written: it has expired, its createdAt is longer ago
--        than the absolute TTL or in the future, the user has logged out everywhere since, or has as many sessions as the cap
--     or an error, which concerns this session alone

-- include new-session.lua

local absolute, cap = tonumber(ARGV[3]), tonumber(ARGV[4])

local function import (fields)
  local sid, gen, device, attempt, label, email, role, claims, sessionClaims, client, jkt = fields[2], tonumber(fields[3]), fields[7],
    fields[8], fields[11], fields[12], fields[13], fields[14], fields[15], fields[16], fields[17]
  local known = redis.call('HMGET', key, 's:' .. sid)[1]
  local expiresKnown = known and select(4, parse(known))
  if expiresKnown then return { 'kept', expiresKnown } end

  local created = tonumber(fields[4]) or now
  local rotated = tonumber(fields[5]) or created
  local ownIdle, ownAbsolute = tonumber(fields[9]), tonumber(fields[10])
  local last = created + math.min(absolute, ownAbsolute or absolute)
  local expires = math.min(tonumber(fields[6]) or last, last)
  -- Clocks differ by less than a minute.
  if created > now + 60 then return { 'ahead' } end
  if last <= now then return { 'too_old' } end
  if expires <= now then return { 'expired' } end

  local live = liveSessions()
  if loggedOutAt and fields[4] ~= '' and created < loggedOutAt then return { 'logged_out' } end
  if #live >= cap then return { 'full' } end
  if #live == 0 then settle(live) end

  local _, profile = setProfile({ email, role, claims }, true, #live > 0)
  local value = format(gen, created, rotated, expires, device, attempt, ownIdle, ownAbsolute, client ~= '' or jkt ~= '')
  addSession(sid, value, profile, label, sessionClaims, client, jkt)

  live[#live + 1] = { expires = expires }
  settle(live)
  return { 'imported', expires }
end

local reply = { 'done', nowMs }
for i = 1, #ARGV - 4 do
  local fields = cjson.decode(ARGV[4 + i])
  key, user, ended, loggedOutAt, profileChangedAt = KEYS[i], fields[1], {}, nil, nil
  local _, result = pcall(import, fields)
  reply[2 + i] = result
end
return reply
