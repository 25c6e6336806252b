#!lua flags=no-writes
-- find-imported.lua: finds the users of imported sessions.
--
-- KEYS       the markers of mark-imported.lua. One in a Cluster
-- ARGV[1..2] see common.lua
--
-- Reply: { 'done', nowMs, user | '', … }; the user of each marker in JSON, '' without a marker

-- include common.lua

local reply = { 'done', nowMs }
for _, marker in ipairs(KEYS) do reply[#reply + 1] = redis.call('HMGET', marker, 'id')[1] or '' end
return reply
