#!lua flags=no-writes
-- find.lua: returns one session as it stands; with a refresh token, only if a refresh with it would succeed. Read-only: it
-- prunes and announces nothing, and Redis refuses its writes, so it also runs on a full server and on a read-only replica.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  sid
-- ARGV[5]  gen of a refresh token, verified by the caller; absent to find the session alone. The refresh has no Idempotency-Key, and
--          proves the session's key if it has one
-- ARGV[6]  exp of the refresh token
-- ARGV[7]  absolute TTL, seconds
-- ARGV[8]  retry window, seconds
--
-- Reply: { 'found', nowMs, gen, createdAt, rotatedAt, expiresAt, email, role, until, userClaims, sessionClaims, client, jkt };
--        until is when a refresh with the token would stop succeeding, Unix seconds, or expiresAt without a token; claims in JSON, ''
--        for none of each
--     or { 'absent', nowMs }

-- include rotation-rule.lua

local record = redis.call('HMGET', key, 's:' .. ARGV[4], 'email', 'role', 'c', 'c:' .. ARGV[4], 'o:' .. ARGV[4], 'k:' .. ARGV[4])
if not record[1] then return { 'absent', nowMs } end

local current, created, rotated, expires = parse(record[1])
if not current or not record[2] or not record[3] then
  return redis.error_reply('ERR the record ' .. key .. ' is damaged')
end

local last = now < expires and expires
if ARGV[5] then
  local gen, exp, absolute, window = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
  last = select(2, rotationOf(gen, exp, current, created, rotated, expires, absolute, window, record[7]))
end
if not last then return { 'absent', nowMs } end
return {
  'found', nowMs, current, created, rotated, expires, record[2], record[3], last,
  record[4] or '', record[5] or '', record[6] or '', record[7] or ''
}
