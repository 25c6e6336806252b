-- profile.lua: how the scripts that change a profile do it. Included by them, never run alone; a refresh changes none.

-- include common.lua

-- Writes email and role, '' to keep one. Tells subscribers when that changed what a live record said before: whoever
-- remembers an answer with the old profile forgets it.
local function setProfile (email, role)
  local before = redis.call('HMGET', key, 'email', 'role')
  local changed = false
  for i, name in ipairs({ 'email', 'role' }) do
    local value = i == 1 and email or role
    if value ~= '' and value ~= before[i] then
      redis.call('HSET', key, name, value)
      changed = changed or before[i] ~= false
    end
  end
  if changed then redis.call('PUBLISH', channel, '{"type":"profile","id":' .. user .. '}') end
end
