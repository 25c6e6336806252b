#!lua
-- announce-keys.lua: records the keys a replica signs with, and forgets the keys of replicas that are gone.
--
-- KEYS[1]  a hash: the name of a key = when a replica last announced it, Unix seconds
-- ARGV[1]  seconds after which a key is forgotten
-- ARGV[2..]  the names of this replica's keys
--
-- Reply: the names of all keys that replicas sign with

local key, lifetime = KEYS[1], tonumber(ARGV[1])
local now = tonumber(redis.call('TIME')[1])

for i = 2, #ARGV do redis.call('HSET', key, ARGV[i], now) end
redis.call('EXPIREAT', key, now + lifetime)

local names = {}
local fields = redis.call('HGETALL', key)
for i = 1, #fields, 2 do
  local said = tonumber(fields[i + 1])
  -- A time far ahead was written before the clock was set back.
  if said and math.abs(now - said) < lifetime then
    names[#names + 1] = fields[i]
  else
    redis.call('HDEL', key, fields[i])
  end
end
return names
