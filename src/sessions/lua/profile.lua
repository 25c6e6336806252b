-- profile.lua: changes a user's profile. Included by the scripts that do so, never run alone; a refresh changes no profile.

-- include common.lua

-- Writes the given email, role and claims of the user in JSON, each '' if not given. The record keeps a value that is not given; if
-- `keepsKnown`, every value that it has. Returns whether an earlier value changed, and the profile that results, with '' for an unknown
-- value. If a value changed and the user has a session, tells subscribers, which then drop cached answers with the old profile.
local function setProfile (given, keepsKnown, hasSession)
  local before = redis.call('HMGET', key, 'email', 'role', 'c')
  local changed, profile = false, {}
  for i, field in ipairs({ 'email', 'role', 'c' }) do
    local known = before[i] or ''
    local value = known ~= '' and (keepsKnown or given[i] == '') and known or given[i]
    if value ~= known then
      redis.call('HSET', key, field, value)
      -- A profile without claims has empty ones.
      changed = changed or before[i] ~= false or i == 3 and before[1] ~= false and value ~= '{}'
    end
    profile[i] = value
  end
  if changed and hasSession then redis.call('PUBLISH', channel, '{"type":"profile","id":' .. user .. '}') end
  return changed, profile
end

-- Remembers when the profile changed, in Unix seconds: a log-in whose password was checked before then has an older profile.
local function rememberChange (at)
  profileChangedAt = at
  redis.call('HSET', key, 'profileChangedAt', string.format('%.3f', at))
end
