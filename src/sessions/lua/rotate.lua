#!lua
-- rotate.lua: decides one refresh and writes the result, in one atomic step.
--
-- The caller has verified the token's signature: this service once issued sid, gen and exp.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
-- ARGV[5]  gen of the presented token
-- ARGV[6]  exp of the presented token
-- ARGV[7]  device, hashed
-- ARGV[8]  idle TTL, seconds
-- ARGV[9]  absolute TTL, seconds
-- ARGV[10] retry window, seconds
--
-- Reply: { 'rotated' | 'retried' | 'recovered', nowMs, gen, rotatedAt, expiresAt, email, role }, then pruned unless it is 0
--     or { 'unknown' | 'device_mismatch', nowMs }
--     or { 'expired' | 'reused', nowMs, pruned }; pruned does not count this session

-- include common.lua

local sid, gen, exp, device = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local idle, absolute, window = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

local field = 's:' .. sid
local record = redis.call('HMGET', key, field, 'email', 'role', 'loggedOutAt', 'profileChangedAt')
if not record[1] then return { 'unknown', nowMs } end

local current, created, rotated, expires, owner = parse(record[1])
if not current or not record[2] or not record[3] then
  return redis.error_reply('ERR the record ' .. key .. ' is damaged')
end

local function stop (outcome, reason)
  remove(sid, reason)
  settle(liveSessions())
  return { outcome, nowMs, pruned }
end

-- Checked first: without the device a stolen token can neither refresh nor end the session.
if device ~= owner then return { 'device_mismatch', nowMs } end
if now >= expires then return stop('expired', 'expired') end

if gen < current then
  -- The retry window counts from the rotation, in whole seconds, and is never longer than configured, even if the clock was
  -- set back.
  if gen == current - 1 and math.abs(now - rotated) < window then
    return { 'retried', nowMs, current, rotated, expires, record[2], record[3] }
  end
  return stop('reused', 'reuse')
end

-- gen > current: Redis lost writes, so the record is behind the token. The token's own expiry still holds.
local outcome = 'rotated'
if gen > current then
  if now >= exp then return stop('expired', 'expired') end
  outcome = 'recovered'
end

-- Earlier than now, or than the expiry so far, only if an operator has lowered a lifetime since.
local renewed = math.min(now + idle, created + absolute)
if now >= renewed then return stop('expired', 'expired') end
redis.call('HSET', key, field, format(gen + 1, created, now, renewed, device))
local date = (record[4] or record[5]) and renewed + MEMORY or renewed
-- If the session now expires sooner, or the key had no expiry (GT treats that as infinite), the other sessions count too.
if renewed < expires or redis.call('EXPIREAT', key, date, 'GT') == 0 and redis.call('EXPIREAT', key, date, 'NX') == 1 then
  settle(liveSessions())
end
local reply = { outcome, nowMs, gen + 1, now, renewed, record[2], record[3] }
if pruned > 0 then reply[8] = pruned end
return reply
