#!lua flags=allow-oom
-- list.lua: lists a user's live sessions.
--
-- KEYS, ARGV[1..3]  see common.lua
--
-- Reply: { 'listed', nowMs, { { sid, label, gen, createdAt, rotatedAt, expiresAt }, … }, pruned }

-- include common.lua

local live = liveSessions()
settle(live)
local rows = {}
for i, session in ipairs(live) do
  rows[i] = { session.sid, session.label, session.gen, session.created, session.rotated, session.expires }
end
return { 'listed', nowMs, rows, pruned }
