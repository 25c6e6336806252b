#!lua
-- rotate.lua: decides refreshes by rotation-rule.lua and writes the results, in one atomic step. One server gets all refreshes
-- of a turn of the service's event loop together; in a Cluster, each refresh comes alone.
--
-- The caller has verified the tokens' signatures: this service once issued sid, gen and exp. Generation 0 is the legacy token of an
-- imported session.
--
-- KEYS       the record of each refresh; a record may come several times
-- ARGV[1..2] see common.lua
-- ARGV[3]    idle TTL, seconds
-- ARGV[4]    absolute TTL, seconds
-- ARGV[5]    retry window, seconds
-- ARGV[6..]  for each refresh: user:sid:gen:exp:device:attempt:jkt:shared:client; the user's id in JSON, gen and exp of the presented
--            token, the device hashed, the hashed Idempotency-Key, the thumbprint of the key that the client has proved, each '-'
--            for none, '+' if several requests share the token, else '-', and the OAuth client, '' for none
--
-- Reply: { 'decided', nowMs, ... } with the decision of each refresh, in their order:
--        { 'rotated' | 'retried' | 'recovered', gen, rotatedAt, expiresAt, email, role }, then userClaims, sessionClaims, client,
--          jkt and ended if there is any of them; claims in JSON, '' for none of each
--     or { 'unknown' | 'device_mismatch' | 'client_mismatch' | 'key_mismatch' }
--     or { 'expired' | 'reused', ended }
--     or an error, which concerns this refresh alone

-- include rotation-rule.lua

local idle, absolute, window = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

-- Appends the claims in `record`, the client and the key of the session, and the ended sessions to the reply of a successful refresh,
-- if there are any.
local function complete (reply, record, client, jkt)
  if #ended > 0 or record[6] or record[7] or client or jkt then
    reply[7], reply[8], reply[9], reply[10], reply[11] = record[6] or '', record[7] or '', client or '', jkt or '', ended
  end
  return reply
end

-- Decides the refresh of a session in the record `key`, and returns its part of the reply.
local function decide (sid, gen, exp, device, attempt, proved, shared, client)
  local field = 's:' .. sid
  local record = redis.call('HMGET', key, field, 'email', 'role', 'loggedOutAt', 'profileChangedAt', 'c', 'c:' .. sid)
  if not record[1] then return { 'unknown' } end

  local current, created, rotated, expires, owner, rest = parse(record[1])
  if not current or not record[2] or not record[3] then
    return redis.error_reply('ERR the record ' .. key .. ' is damaged')
  end

  -- Checked first: without the device a stolen token can neither refresh nor end the session. An imported session without a device
  -- gets the device of its first refresh.
  if device ~= owner and (owner ~= '-' or current > 0) then return { 'device_mismatch' } end

  local last, mark, ownIdle, ownAbsolute, ownClient, jkt = '-'
  if rest ~= '' then
    last, mark, ownIdle, ownAbsolute = string.match(rest, '^:([^:!]*)(!?):?([^:]*):?([^:]*)')
    ownIdle, ownAbsolute = tonumber(ownIdle), tonumber(ownAbsolute)
    if mark == '!' then ownClient, jkt = unpack(redis.call('HMGET', key, 'o:' .. sid, 'k:' .. sid)) end
  end
  if ownClient and ownClient ~= client then return { 'client_mismatch' } end
  if jkt and jkt ~= proved then return { 'key_mismatch' } end

  local isRepeat = jkt or attempt ~= '-' and attempt == last
  local outcome = rotationOf(gen, exp, current, created, rotated, expires, absolute, window, isRepeat)
  -- The tabs of a browser share a cookie. If each rotated it, a tab that sent an older cookie would fall two generations behind.
  if outcome == 'rotated' and shared == '+' and current > 0 and math.abs(now - rotated) < window then outcome = 'retried' end
  if outcome == 'expired' or outcome == 'reused' then
    remove(sid, outcome == 'reused' and 'reuse' or 'expired')
    settle(liveSessions())
    return { outcome, ended }
  end
  -- The first proved key becomes the session's key. A retry may set it too: its token would get the successor without a proof.
  local isNew = not jkt and proved ~= '-'
  if isNew then
    jkt = proved
    redis.call('HSET', key, 'k:' .. sid, jkt)
  end
  local isBound = ownClient or jkt
  if outcome == 'retried' then
    if isNew then
      redis.call('HSET', key, field, format(current, created, rotated, expires, device, last, ownIdle, ownAbsolute, isBound))
    end
    return complete({ 'retried', current, rotated, expires, record[2], record[3] }, record, ownClient, jkt)
  end

  -- The session's own TTLs may be longer than the configured ones, if an operator has lowered these since.
  local renewed = math.min(now + idle, created + absolute)
  if ownIdle then renewed = math.min(renewed, now + ownIdle) end
  if ownAbsolute then renewed = math.min(renewed, created + ownAbsolute) end
  redis.call('HSET', key, field, format(gen + 1, created, now, renewed, device, attempt, ownIdle, ownAbsolute, isBound))
  -- As text: Redis converts a number that a script passes by way of a float.
  local date = string.format('%d', (record[4] or record[5]) and renewed + MEMORY or renewed)
  -- If the session now expires sooner, or the key had no expiry (GT treats that as infinite), the other sessions count too.
  if renewed < expires or redis.call('EXPIREAT', key, date, 'GT') == 0 and redis.call('EXPIREAT', key, date, 'NX') == 1 then
    settle(liveSessions())
  end
  -- The first refresh of an imported session opens it.
  if gen == 0 then announceOpening(sid) end
  return complete({ outcome, gen + 1, now, renewed, record[2], record[3] }, record, ownClient, jkt)
end

local reply = { 'decided', nowMs }
for i = 1, #KEYS do
  local sid, gen, exp, device, attempt, proved, shared, client
  user, sid, gen, exp, device, attempt, proved, shared, client =
    string.match(ARGV[5 + i], '^([^:]+):([^:]+):(%d+):(%d+):([^:]+):([^:]+):([^:]+):([^:]):(.*)$')
  key, ended, loggedOutAt, profileChangedAt = KEYS[i], {}, nil, nil
  local _, decision = pcall(decide, sid, tonumber(gen), tonumber(exp), device, attempt, proved, shared, client)
  reply[2 + i] = decision
end
return reply
