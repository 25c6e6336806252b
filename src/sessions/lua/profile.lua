-- profile.lua: changes a user's profile. Included by the scripts that do so, never run alone; a refresh changes no profile.

-- include common.lua

-- Writes email, role and the user's claims in JSON, '' to keep one. Returns whether an earlier value changed, and the claims, ''
-- for none. If a value changed and the user has a session, tells subscribers, which then drop cached answers with the old profile.
local function setProfile (email, role, claims, hasSession)
  local before = redis.call('HMGET', key, 'email', 'role', 'c')
  local changed = false
  for i, value in ipairs({ email, role, claims }) do
    if value ~= '' and value ~= before[i] then
      redis.call('HSET', key, i == 1 and 'email' or i == 2 and 'role' or 'c', value)
      -- A profile without claims has empty ones.
      changed = changed or before[i] ~= false or i == 3 and before[1] ~= false and value ~= '{}'
    end
  end
  if changed and hasSession then redis.call('PUBLISH', channel, '{"type":"profile","id":' .. user .. '}') end
  return changed, claims ~= '' and claims or before[3] or ''
end

-- Remembers when the profile changed, in Unix seconds: a log-in whose password was checked before then has an older profile.
local function rememberChange (at)
  profileChangedAt = at
  redis.call('HSET', key, 'profileChangedAt', string.format('%.3f', at))
end
