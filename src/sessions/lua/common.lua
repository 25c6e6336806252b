-- common.lua: reads and writes a user's record. Included by the other scripts, never run alone.
--
-- KEYS[1]  the user's record, a hash: email and role, '' if unknown,
--          s:<sid> = gen:createdAt:rotatedAt:expiresAt:device[:attempt[:idle:absolute]],
--          l:<sid> = label, o:<sid> = OAuth client, k:<sid> = thumbprint of the key that every refresh must prove (DPoP),
--          c = the user's claims and c:<sid> = the session's, in JSON, if there are any, loggedOutAt and profileChangedAt, in Unix
--          seconds with three decimals, once they have happened.
--          `device` is '-' for none. `attempt` is the hashed Idempotency-Key of the last rotation, '-' for none; a '!' after it
--          means that o:<sid> or k:<sid> exists, so a refresh reads them only then. `idle` and `absolute` are the session's own
--          TTLs in seconds, '-' for the configured ones
-- ARGV[1]  the channel of announcements
-- ARGV[2]  deadline: Unix milliseconds after which the caller has given up
-- ARGV[3]  the user's id in JSON: Lua prints large numbers with an exponent. rotate.lua and import.lua have several records,
--          and set `key` and `user` for each
--
-- All times are Redis's own, in seconds unless the name says otherwise. Every reply begins { word, nowMs }; a script
-- that runs after its deadline does nothing and replies { 'late', nowMs }. In a reply, `ended` lists the sessions that the
-- script ended, as { { reason, sid }, … }.
local channel, deadline, key, user = ARGV[1], tonumber(ARGV[2]), KEYS[1], ARGV[3]

local time = redis.call('TIME')
local now = tonumber(time[1])
local nowMs = now * 1000 + math.floor(tonumber(time[2]) / 1000)

-- A command delayed by a frozen server or a stalled socket can run long after its caller answered 500.
if nowMs > deadline then return { 'late', nowMs } end

-- The sessions that this run has ended.
local ended = {}

-- Tells subscribers and the caller that a session ended, in the same atomic step as its removal.
local function announce (reason, sid)
  redis.call('PUBLISH', channel,
    '{"type":"revoked","reason":"' .. reason .. '","id":' .. user .. ',"sid":"' .. sid .. '"}')
  ended[#ended + 1] = { reason, sid }
end

-- Tells subscribers that a session was opened.
local function announceOpening (sid)
  redis.call('PUBLISH', channel, '{"type":"opened","id":' .. user .. ',"sid":"' .. sid .. '"}')
end

-- Removes an existing session, and announces its end.
local function remove (sid, reason)
  redis.call('HDEL', key, 's:' .. sid, 'l:' .. sid, 'c:' .. sid, 'o:' .. sid, 'k:' .. sid)
  announce(reason, sid)
end

-- Returns gen, createdAt, rotatedAt, expiresAt as numbers, device as text, and the text that follows, '' if nothing does; nil if
-- the value has another format.
local function parse (value)
  local gen, created, rotated, expires, device, rest = string.match(value, '^(%d+):(%d+):(%d+):(%d+):([^:]*)(.*)$')
  return tonumber(gen), tonumber(created), tonumber(rotated), tonumber(expires), device, rest
end

-- Three digits for gen: a record that grew with the generations of its sessions would need another allocation.
local function format (gen, created, rotated, expires, device, attempt, idle, absolute, isBound)
  local value = string.format('%03d:%d:%d:%d:%s', gen, created, rotated, expires, device)
  if isBound then attempt = attempt .. '!' end
  if idle or absolute then
    return value .. ':' .. attempt .. ':' .. (idle or '-') .. ':' .. (absolute or '-')
  end
  return attempt == '-' and value or value .. ':' .. attempt
end

-- Seconds that a record outlives its last session, to remember the two times below. A log-in under way (its password was
-- checked earlier) opens its session within that time.
local MEMORY = 600

-- When the user last logged out everywhere, and when the profile last changed. `liveSessions` sets them; nil if the
-- record does not remember one.
local loggedOutAt, profileChangedAt

-- Prunes sessions that are expired or unreadable. Returns the live sessions in the order of the hash.
local function liveSessions ()
  local live, labels = {}, {}
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local kind, sid = string.sub(fields[i], 1, 2), string.sub(fields[i], 3)
    if kind == 'l:' then
      labels[sid] = fields[i + 1]
    elseif kind == 's:' then
      local gen, created, rotated, expires, device = parse(fields[i + 1])
      if not expires or expires <= now then
        remove(sid, 'expired')
      else
        live[#live + 1] =
          { place = i, sid = sid, gen = gen, created = created, rotated = rotated, expires = expires, device = device }
      end
    elseif fields[i] == 'loggedOutAt' then
      loggedOutAt = tonumber(fields[i + 1])
    elseif fields[i] == 'profileChangedAt' then
      profileChangedAt = tonumber(fields[i + 1])
    end
  end
  for _, session in ipairs(live) do session.label = labels[session.sid] or '' end
  return live
end

-- Sets the record's expiry to that of its longest session, plus MEMORY seconds if the record remembers a time. Without a
-- session, forgets times older than MEMORY seconds, and the profile unless its change is still remembered.
local function settle (live)
  local latest = 0
  for _, session in ipairs(live) do latest = math.max(latest, session.expires) end
  if latest > 0 then
    redis.call('EXPIREAT', key, (loggedOutAt or profileChangedAt) and latest + MEMORY or latest)
    return
  end
  if (loggedOutAt or 0) + MEMORY <= now then loggedOutAt = nil end
  if (profileChangedAt or 0) + MEMORY <= now then profileChangedAt = nil end
  if not loggedOutAt and not profileChangedAt then
    redis.call('DEL', key)
    return
  end
  if not loggedOutAt then redis.call('HDEL', key, 'loggedOutAt') end
  if not profileChangedAt then redis.call('HDEL', key, 'email', 'role', 'c', 'profileChangedAt') end
  -- LT: MEMORY counts from the last session's end; a later reader must not extend it.
  redis.call('EXPIREAT', key, now + MEMORY, 'LT')
end
