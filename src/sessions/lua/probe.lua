#!lua
-- probe.lua: succeeds exactly when this server would run a refresh. A script that may write is refused by Redis itself
-- when memory is full, the disk fails, or the server is a read-only replica.
--
-- Reply: { 'ready', nowMs }
local time = redis.call('TIME')
return { 'ready', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) }
