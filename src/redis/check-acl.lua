#!lua flags=no-writes
-- check-acl.lua: which commands this user may run. Asks only, with no effect.
--
-- ARGV  each a command and its arguments, as an array in JSON. No KEYS: none is accessed.
--
-- Reply: 1 or 0 for each; 0 also when the server knows no such command

local answers = {}
for i, words in ipairs(ARGV) do
  local known, may = pcall(redis.acl_check_cmd, unpack(cjson.decode(words)))
  answers[i] = known and may and 1 or 0
end
return answers
