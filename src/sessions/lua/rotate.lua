#!lua
-- rotate.lua: decides one refresh by rotation-rule.lua and writes the result, in one atomic step.
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

-- include rotation-rule.lua

local sid, gen, exp, device = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local idle, absolute, window = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

local field = 's:' .. sid
local record = redis.call('HMGET', key, field, 'email', 'role', 'loggedOutAt', 'profileChangedAt')
if not record[1] then return { 'unknown', nowMs } end

local current, created, rotated, expires, owner = parse(record[1])
if not current or not record[2] or not record[3] then
  return redis.error_reply('ERR the record ' .. key .. ' is damaged')
end

-- Checked first: without the device a stolen token can neither refresh nor end the session.
if device ~= owner then return { 'device_mismatch', nowMs } end

local outcome = rotationOf(gen, exp, current, created, rotated, expires, absolute, window)
if outcome == 'retried' then
  return { 'retried', nowMs, current, rotated, expires, record[2], record[3] }
end
if outcome == 'expired' or outcome == 'reused' then
  remove(sid, outcome == 'reused' and 'reuse' or 'expired')
  settle(liveSessions())
  return { outcome, nowMs, pruned }
end

local renewed = math.min(now + idle, created + absolute)
redis.call('HSET', key, field, format(gen + 1, created, now, renewed, device))
local date = (record[4] or record[5]) and renewed + MEMORY or renewed
-- If the session now expires sooner, or the key had no expiry (GT treats that as infinite), the other sessions count too.
if renewed < expires or redis.call('EXPIREAT', key, date, 'GT') == 0 and redis.call('EXPIREAT', key, date, 'NX') == 1 then
  settle(liveSessions())
end
local reply = { outcome, nowMs, gen + 1, now, renewed, record[2], record[3] }
if pruned > 0 then reply[8] = pruned end
return reply
