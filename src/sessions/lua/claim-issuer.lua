#!lua
-- claim-issuer.lua: gives a prefix to an issuer, unless another issuer has it. Of two issuers that ask at once, one gets it.
--
-- KEYS[1]  the marker, a hash: issuer
-- ARGV[1]  the issuer
-- ARGV[2]  seconds that the issuer's sessions may live from now on: the marker outlives them
--
-- Reply: the issuer that has the prefix

local key, issuer = KEYS[1], ARGV[1]
local expiry = tonumber(redis.call('TIME')[1]) + tonumber(ARGV[2])

local owner = redis.call('HMGET', key, 'issuer')[1]
if not owner then
  redis.call('HSET', key, 'issuer', issuer)
  redis.call('EXPIREAT', key, expiry)
  return issuer
end
-- GT: never shortens the expiry that another replica set; its sessions may live longer.
if owner == issuer then redis.call('EXPIREAT', key, expiry, 'GT') end
return owner
