-- profile.lua: how the scripts that change a profile do it. Included by them, never run alone; a refresh changes none.

-- include common.lua

-- Writes email and role, '' to keep one. Returns whether that changed what the record said before. If a session lived
-- under it, tells subscribers: whoever remembers an answer with the old profile forgets it.
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

-- Remembers when the profile changed, in Unix seconds: a log-in whose password was checked before knows an older one.
local function rememberChange (at)
  profileChangedAt = at
  redis.call('HSET', key, 'profileChangedAt', string.format('%.3f', at))
end
