-- profile.lua: changes a user's profile. Included by the scripts that do so, never run alone; a refresh changes no profile.

-- include common.lua

-- Writes email and role, '' to keep one. Returns whether an earlier value changed. If it did and the user has a session,
-- tells subscribers, which then drop cached answers with the old profile.
local function setProfile (email, role, hasSession)
  local before = redis.call('HMGET', key, 'email', 'role')
  local changed = false
  for i, name in ipairs({ 'email', 'role' }) do
    local value = i == 1 and email or role
    if value ~= '' and value ~= before[i] then
      redis.call('HSET', key, name, value)
      changed = changed or before[i] ~= false
    end
  end
  if changed and hasSession then redis.call('PUBLISH', channel, '{"type":"profile","id":' .. user .. '}') end
  return changed
end

-- Remembers when the profile changed, in Unix seconds: a log-in whose password was checked before then has an older profile.
local function rememberChange (at)
  profileChangedAt = at
  redis.call('HSET', key, 'profileChangedAt', string.format('%.3f', at))
end
