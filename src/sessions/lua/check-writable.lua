#!lua
-- check-writable.lua: succeeds exactly when this server would run a refresh. Redis refuses every script that may write when
-- memory is full, the disk fails, or the server is a read-only replica.
--
-- KEYS[1]  a key in a slot of the server; not accessed
--
-- Reply: { 'ready', nowMs }
local time = redis.call('TIME')
return { 'ready', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) }
