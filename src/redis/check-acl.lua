#!lua flags=no-writes
-- check-acl.lua: tells which commands this user may run. Changes nothing.
--
-- ARGV  one JSON array for each command: its name and its arguments. No KEYS: no key is accessed.
--
-- Reply: 1 or 0 for each command; 0 also when the server does not know it

local answers = {}
for i, words in ipairs(ARGV) do
  local known, may = pcall(redis.acl_check_cmd, unpack(cjson.decode(words)))
  answers[i] = known and may and 1 or 0
end
return answers
