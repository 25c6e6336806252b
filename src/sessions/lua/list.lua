#!lua flags=allow-oom
-- list.lua: lists a user's live sessions, and if asked the fields of the whole record.
--
-- KEYS, ARGV[1..3]  see common.lua
-- ARGV[4]  'record' for the fields too, '' for none
--
-- Reply: { 'listed', nowMs, { { sid, label, gen, createdAt, rotatedAt, expiresAt }, … }, { field, value, … }, ended }

-- include common.lua

local live = liveSessions()
settle(live)
local rows = {}
for i, session in ipairs(live) do
  rows[i] = { session.sid, session.label, session.gen, session.created, session.rotated, session.expires }
end
local fields = ARGV[4] == 'record' and redis.call('HGETALL', key) or {}
return { 'listed', nowMs, rows, fields, ended }
