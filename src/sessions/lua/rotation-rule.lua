-- rotation-rule.lua: decides the outcome of a refresh. Included by rotate.lua, which carries it out, and by find.lua, which
-- only reports it; never run alone.

-- include common.lua

-- Takes gen and exp of an authentic token; gen, createdAt, rotatedAt and expiresAt of its session; and the absolute TTL and
-- the retry window in seconds. `isRepeat`: the refresh has the Idempotency-Key with which the session was rotated last, or proves
-- the session's key. Returns the outcome. If a refresh would succeed, also returns until when, in Unix seconds.
--
-- | the token's generation is             | outcome   | until                                     |
-- |---------------------------------------|-----------|-------------------------------------------|
-- | current                               | rotated   | the end of the session                    |
-- | current - 1, `isRepeat`               | retried   | the end of the session                    |
-- | current - 1, within the retry window  | retried   | the end of the window, or of the session  |
-- | older                                 | reused    |                                           |
-- | newer: Redis lost writes              | recovered | the token's own exp, or the session's end |
-- | any, after the end of the session     | expired   |                                           |
-- | newer, after the token's own exp      | expired   |                                           |
local function rotationOf (gen, exp, current, created, rotated, expires, absolute, window, isRepeat)
  if now >= expires then return 'expired' end
  if gen < current then
    -- Proves that this client asked for the rotation, however long ago. It has not used the successor, or gen were older.
    if isRepeat and gen == current - 1 then return 'retried', expires end
    -- The retry window counts from the rotation, in whole seconds, and is never longer than configured, even if the clock
    -- was set back.
    if gen == current - 1 and math.abs(now - rotated) < window then
      return 'retried', math.min(rotated + window, expires)
    end
    return 'reused'
  end
  -- Earlier than the session's expiry only if an operator has lowered the lifetime since.
  local last = created + absolute
  if expires < last then last = expires end
  local outcome = 'rotated'
  if gen > current then
    outcome = 'recovered'
    if exp < last then last = exp end
  end
  if now >= last then return 'expired' end
  return outcome, last
end
