import type { Edit } from '../../support/clock.ts'

/**
 * Small mistakes in the scripts; the model test must catch each one. Not included: the deadline of common.lua, because the
 * test's clock stands still while a script runs (faults.test.ts covers it); and the mistakes that only scenarios.test.ts catches.
 */

/**
 * Replaces `from` with `to` in `script`. If `script` is an included file, the change applies to every script that includes it. The runs
 * `ofFaces` must catch it, if it is of these.
 */
export interface Mutant { script: string, from: string, to: string, isOfFaces?: boolean }

/** Returns the edit that makes the mistake. The text of a script contains its included files, so their mutants edit every script. */
export function mutate ({ script, from, to }: Mutant): Edit {
  const included = ['common', 'profile', 'rotation-rule'].includes(script)
  return (lua, name) => included || name === script ? lua.replaceAll(from, () => to) : lua
}

const rotate: Array<[string, string]> = [
  ['if not record[1] then', 'if not record[2] then'],
  ['if device ~= owner and (owner ~= \'-\' or current > 0) then', 'if false then'],
  ["outcome == 'reused' and 'reuse' or 'expired'", "outcome == 'reused' and 'reuse' or 'logout'"],
  ["outcome == 'reused' and 'reuse' or 'expired'", "outcome == 'reused' and 'logout' or 'expired'"],
  ["if outcome == 'expired' or outcome == 'reused' then", "if outcome == 'reused' then"],
  ["if outcome == 'expired' or outcome == 'reused' then", "if outcome == 'expired' then"],
  ["return complete({ 'retried'", "redis.call('HSET', key, field, format(current, created, now, expires, owner, attempt)) return complete({ 'retried'"],
  ["{ 'retried', current, rotated", "{ 'retried', current, now"],
  ["{ 'retried', current,", "{ 'retried', gen,"],
  ['math.min(now + idle, created + absolute)', 'now + idle'],
  ['math.min(now + idle, created + absolute)', 'created + absolute'],
  ['math.min(now + idle, created + absolute)', 'math.max(now + idle, created + absolute)'],
  ['math.min(now + idle, created + absolute)', 'math.min(rotated + idle, created + absolute)'],
  ['math.min(now + idle, created + absolute)', 'math.min(now + idle, now + absolute)'],
  ['attempt == last', 'true'],
  ["attempt ~= '-' and attempt == last", 'attempt == last'],
  ['if ownIdle then renewed = math.min(renewed, now + ownIdle) end', ''],
  ['if ownAbsolute then renewed = math.min(renewed, created + ownAbsolute) end', ''],
  ['renewed = math.min(renewed, now + ownIdle)', 'renewed = now + ownIdle'],
  ['renewed = math.min(renewed, created + ownAbsolute)', 'renewed = created + ownAbsolute'],
  ['attempt, ownIdle, ownAbsolute, isBound))', 'attempt))'],
  ['attempt, ownIdle, ownAbsolute, isBound))', 'attempt, ownAbsolute, ownIdle))'],
  ['renewed, device, attempt,', "renewed, device, '-',"],
  ['renewed, device, attempt,', "renewed, device, attempt == '-' and last or attempt,"],
  ['format(gen + 1, created, now,', 'format(gen, created, now,'],
  ['format(gen + 1, created, now,', 'format(current + 1, created, now,'],
  ['format(gen + 1, created, now,', 'format(gen + 1, now, now,'],
  ['format(gen + 1, created, now,', 'format(gen + 1, created, rotated,'],
  ["redis.call('EXPIREAT', key, date, 'GT')", "redis.call('EXPIREAT', key, date)"],
  ["redis.call('EXPIREAT', key, date, 'GT') == 0", 'false'],
  ["redis.call('EXPIREAT', key, date, 'NX') == 1", 'false'],
  ["redis.call('EXPIREAT', key, date, 'NX') == 1", 'true'],
  ['(record[4] or record[5]) and', 'false and'],
  ['(record[4] or record[5]) and', 'record[4] and'],
  ['(record[4] or record[5]) and', 'record[5] and'],
  ['(record[4] or record[5]) and', 'true and'],
  ['if renewed < expires or', 'if'],
  ["    remove(sid, outcome == 'reused' and 'reuse' or 'expired')\n", "    redis.call('DEL', key) announce(outcome == 'reused' and 'reuse' or 'expired', sid)\n"],
  ['    settle(liveSessions())\n    return { outcome', '    return { outcome'],
  ['return { outcome, ended }', 'return { outcome }'],
  ['{ outcome, gen + 1, now,', '{ outcome, gen + 1, rotated,'],
  ['#ended > 0 or record[6] or record[7]', '#ended > 0 or record[6]'],
  ['#ended > 0 or record[6] or record[7]', '#ended > 0 or record[7]'],
  ["record[6] or '', record[7] or ''", "record[7] or '', record[6] or ''"],
  ["return complete({ 'retried', current, rotated, expires, record[2], record[3] }, record, ownClient, jkt)",
    "return { 'retried', current, rotated, expires, record[2], record[3] }"],
  ['{ outcome, gen + 1, now,', '{ outcome, current + 1, now,'],
  ['renewed, record[2], record[3] }', 'renewed, record[3], record[2] }']
]

const rotationRule: Array<[string, string]> = [
  ["if now >= expires then return 'expired' end", "if now > expires then return 'expired' end"],
  ["if now >= expires then return 'expired' end", "if now + 1 >= expires then return 'expired' end"],
  ["if now >= expires then return 'expired' end", ''],
  ["if isRepeat and gen == current - 1 then return 'retried', expires end", ''],
  ['if isRepeat and gen == current - 1 then', 'if isRepeat then'],
  ['if isRepeat and gen == current - 1 then', 'if gen == current - 1 then'],
  ['if gen < current then', 'if gen <= current then'],
  ['if gen < current then', 'if gen < current - 1 then'],
  ['if gen == current - 1 and', 'if'],
  ['if gen == current - 1 and', 'if gen == current - 2 and'],
  ['gen == current - 1 and math.abs(now - rotated) < window', 'false'],
  ['gen == current - 1 and math.abs(now - rotated) < window', 'gen == current - 1'],
  ['math.abs(now - rotated) < window', 'math.abs(now - rotated) <= window'],
  ['math.abs(now - rotated) < window', 'math.abs(now - rotated) < window - 1'],
  ['math.abs(now - rotated) < window', 'math.abs(now - created) < window'],
  ['math.abs(now - rotated) < window', 'now - rotated < window'],
  ["return 'reused'", "return 'expired'"],
  ["outcome = 'rotated'", "outcome = 'recovered'"],
  ["outcome = 'recovered'\n", ''],
  ['if gen > current then', 'if gen >= current then'],
  ['if exp < last then last = exp end', ''],
  ['if exp < last then last = exp end', 'if exp - 1 < last then last = exp - 1 end'],
  ["if now >= last then return 'expired' end", ''],
  ["if now >= last then return 'expired' end", "if now + 1 >= last then return 'expired' end"]
]

const open: Array<[string, string]> = [
  ['announceOpening(sid)\n', ''],
  ['if session.device == device and', 'if false and'],
  ['if session.device == device and', 'if'],
  ["session.device == device and device ~= '-'", 'session.device == device'],
  ['if ownIdle then expires = math.min(expires, now + ownIdle) end', ''],
  ['if ownAbsolute then expires = math.min(expires, now + ownAbsolute) end', ''],
  ['expires = math.min(expires, now + ownIdle)', 'expires = now + ownIdle'],
  ['expires = math.min(expires, now + ownAbsolute)', 'expires = now + ownAbsolute'],
  ["device, '-', ownIdle, ownAbsolute,", "device, '-', ownAbsolute, ownIdle,"],
  ["remove(session.sid, 'replaced')", ''],
  ["remove(session.sid, 'replaced')", "remove(session.sid, 'evicted')"],
  ['while #others >= cap do', 'while #others > cap do'],
  ['while #others >= cap do', 'while #others >= cap - 1 and #others > 0 do'],
  ["remove(table.remove(others).sid, 'evicted')", "remove(table.remove(others, 1).sid, 'evicted')"],
  ['return a.rotated > b.rotated', 'return a.rotated < b.rotated'],
  ['if a.rotated ~= b.rotated then return a.rotated > b.rotated end', ''],
  ['return a.place > b.place', 'return a.place < b.place'],
  ['now + math.min(idle, absolute)', 'now + idle'],
  ['now + math.min(idle, absolute)', 'now + absolute'],
  ['setProfile({ ARGV[7], ARGV[8], ARGV[15] }, isOlder, #live > 0)', 'false, { ARGV[7], ARGV[8], ARGV[15] }'],
  ['isOlder, #live > 0)', 'isOlder, true)'],
  ['isOlder, #live > 0)', 'isOlder, false)'],
  ['isOlder, #live > 0)', 'false, #live > 0)'],
  ['isOlder, #live > 0)', 'true, #live > 0)'],
  ['{ ARGV[7], ARGV[8], ARGV[15] }', '{ ARGV[8], ARGV[7], ARGV[15] }'],
  ['{ ARGV[7], ARGV[8], ARGV[15] }', "{ ARGV[7], ARGV[8], '' }"],
  ['profile[1], profile[2], profile[3]', 'ARGV[7], profile[2], profile[3]'],
  ['profile[1], profile[2], profile[3]', 'profile[1], ARGV[8], profile[3]'],
  ['profile[1], profile[2], profile[3]', 'profile[1], profile[2], ARGV[15]'],
  ['if changed and not isOlder then', 'if not isOlder then'],
  ['if changed and not isOlder then', 'if changed then'],
  ["'email', profile[1], 'role', profile[2], 's:'", "'email', profile[1], 's:'"],
  ["'email', profile[1], 'role', profile[2], 's:'", "'role', profile[2], 's:'"],
  ['if last and authenticatedAt < last then', 'if false then'],
  ['if last and authenticatedAt < last then', 'if last and authenticatedAt <= last then'],
  ['if last and authenticatedAt < last then', 'if last and math.floor(authenticatedAt) < math.floor(last) then'],
  ['if last and authenticatedAt < last then', 'if last then'],
  ['nowMs / 1000 + 60', 'nowMs / 1000 + 59'],
  ['authenticatedAt > nowMs / 1000 + 60', 'false'],
  ['authenticatedAt > nowMs / 1000 + 60', 'authenticatedAt > nowMs / 1000'],
  ['if #live == 0 then settle(live) end\n', ''],
  ['and authenticatedAt < profileChangedAt\n', 'and authenticatedAt <= profileChangedAt\n'],
  ['and authenticatedAt < profileChangedAt\n', '\n'],
  ["if claims ~= '' then", 'do'],
  ["if claims ~= '' then", 'if false then'],
  ['math.min(authenticatedAt or nowMs / 1000, nowMs / 1000)', 'nowMs / 1000'],
  ['math.min(authenticatedAt or nowMs / 1000, nowMs / 1000)', 'authenticatedAt or nowMs / 1000'],
  ["if label ~= '' then", 'do'],
  ["if label ~= '' then", 'if false then'],
  ['others[#others + 1] = { expires = expires }\n', ''],
  ['profile[3], ended }', 'profile[3], {} }'],
  ['format(1, now, now,', 'format(0, now, now,']
]

const common: Array<[string, string]> = [
  ['local now = tonumber(time[1])', 'local now = tonumber(time[1]) + (tonumber(time[2]) >= 500000 and 1 or 0)'],
  ["'HDEL', key, 's:' .. sid, 'l:' .. sid, 'c:' .. sid,", "'HDEL', key, 'l:' .. sid, 'c:' .. sid,"],
  ["'HDEL', key, 's:' .. sid, 'l:' .. sid, 'c:' .. sid,", "'HDEL', key, 's:' .. sid, 'c:' .. sid,"],
  ["'HDEL', key, 's:' .. sid, 'l:' .. sid, 'c:' .. sid,", "'HDEL', key, 's:' .. sid, 'l:' .. sid,"],
  ['  announce(reason, sid)\nend', 'end'],
  ['ended[#ended + 1] = { reason, sid }', ''],
  ['ended[#ended + 1] = { reason, sid }', "ended[#ended + 1] = { 'logout', sid }"],
  ['ended[#ended + 1] = { reason, sid }', 'ended[1] = { reason, sid }'],
  ['  announce(reason, sid)\nend', '  announce(reason, sid) announce(reason, sid)\nend'],
  ["(%d+):([^:]*)(.*)$'", "(%d+):([^:]?[^:]?[^:]?)(.*)$'"],
  ["(%d+):([^:]*)(.*)$'", "(%d+):(.*)()$'"],
  ["attempt == '-' and value or", 'false and value or'],
  ['if idle or absolute then', 'if idle then'],
  ['if idle or absolute then', 'if absolute then'],
  ["'%03d:%d:%d:%d:%s', gen, created, rotated", "'%03d:%d:%d:%d:%s', gen, rotated, created"],
  ['if not expires or expires <= now then', 'if not expires or expires < now then'],
  ['if not expires or expires <= now then', 'if false then'],
  ["remove(sid, 'expired')", "redis.call('HDEL', key, fields[i])"],
  ['latest = math.max(latest, session.expires)', 'latest = session.expires'],
  ['if latest > 0 then\n    redis.call', 'if latest > 0 then\n    do return end redis.call'],
  ['MEMORY = 600', 'MEMORY = 601'],
  ['loggedOutAt = tonumber(fields[i + 1])', 'loggedOutAt = nil'],
  ['profileChangedAt = tonumber(fields[i + 1])', 'profileChangedAt = nil'],
  ['(loggedOutAt or profileChangedAt) and latest + MEMORY or latest', 'latest'],
  ['(loggedOutAt or profileChangedAt) and latest', 'loggedOutAt and latest'],
  ['(loggedOutAt or profileChangedAt) and latest', 'profileChangedAt and latest'],
  ['(loggedOutAt or 0) + MEMORY <= now', 'false'],
  ['(loggedOutAt or 0) + MEMORY <= now', 'true'],
  ['(profileChangedAt or 0) + MEMORY <= now', 'false'],
  ['(profileChangedAt or 0) + MEMORY <= now', 'true'],
  ["    redis.call('DEL', key)\n    return", '    return'],
  ["redis.call('HDEL', key, 'loggedOutAt')", ''],
  ["'email', 'role', 'c', 'profileChangedAt')", "'profileChangedAt')"],
  ["'email', 'role', 'c', 'profileChangedAt')", "'email', 'role', 'profileChangedAt')"],
  ["now + MEMORY, 'LT')", 'now + MEMORY)'],
  ["  redis.call('EXPIREAT', key, now + MEMORY, 'LT')\n", '']
]

const others: Record<string, Array<[string, string]>> = {
  profile: [
    ["known ~= '' and (", '('],
    ["(keepsKnown or given[i] == '')", "(given[i] == '')"],
    ["(keepsKnown or given[i] == '')", '(keepsKnown)'],
    ['if value ~= known then', "if value ~= '' then"],
    ['profile[i] = value\n', 'profile[i] = given[i]\n'],
    ["before[i] or ''\n", "i < 3 and before[i] or ''\n"],
    ['changed or before[i] ~= false', 'true'],
    ['changed or before[i] ~= false', 'before[i] ~= false and i == 1'],
    ["or i == 3 and before[1] ~= false and value ~= '{}'", ''],
    ['i == 3 and before[1] ~= false and', 'i == 3 and'],
    ["before[1] ~= false and value ~= '{}'", 'before[1] ~= false'],
    ['if changed and', 'if'],
    ['if changed and hasSession then', 'if false then'],
    ['if changed and hasSession then', 'if changed then'],
    ['return changed,', 'return true,'],
    ['return changed,', 'return false,'],
    ["redis.call('HSET', key, 'profileChangedAt', string.format('%.3f', at))", ''],
    ["string.format('%.3f', at)", "string.format('%d', at)"],
    ['profileChangedAt = at\n', '']
  ],
  revoke: [
    ['remove(session.sid, ARGV[5])', "remove(session.sid, 'expired')"],
    ['remove(session.sid, ARGV[5])', ''],
    ['if session.sid == ARGV[4] then', 'if true then'],
    ["'absent', nowMs, ended }", "'absent', nowMs, {} }"],
    ['settle(others)\n', ''],
    ['settle(others)\n', 'settle({})\n'],
    ["if device and device ~= ARGV[6] and (device ~= '-' or gen > 0) then", 'if false then'],
    ['if device and device ~= ARGV[6] and', 'if device ~= ARGV[6] and'],
    ['if device and device ~= ARGV[6] and', 'if device and ARGV[6] and'],
    ['local gen, _, _, _, device = parse', 'local gen, _, _, device = parse']
  ],
  'revoke-all': [
    ['nowMs, ended }', 'nowMs, {} }'],
    ["if #kept == 0 then redis.call('DEL', key) end\n", ''],
    ["if #kept == 0 then redis.call('DEL', key) end\n", "redis.call('DEL', key)\n"],
    ["redis.call('HSET', key, 'loggedOutAt', string.format('%.3f', loggedOutAt))\n", ''],
    ["string.format('%.3f', loggedOutAt)", 'now'],
    ['loggedOutAt = nowMs / 1000\n', 'loggedOutAt = loggedOutAt or nowMs / 1000\n'],
    ['settle(kept)\n', ''],
    ['settle(kept)\n', 'settle({})\n'],
    ['if session.sid == ARGV[4] then', 'if false then'],
    ['if session.sid == ARGV[4] then', "if ARGV[4] ~= '' then"],
    ['    kept[1] = session\n', ''],
    ["remove(session.sid, 'logout')", ''],
    ["remove(session.sid, 'logout')", "announce('logout', session.sid)"],
    ["remove(session.sid, 'logout')", "remove(session.sid, 'evicted')"]
  ],
  erase: [
    ['nowMs, ended }', 'nowMs, {} }'],
    ["redis.call('DEL', key)\nreturn", 'return'],
    ["redis.call('HSET', key, 'w', '')\nredis.call('DEL', key)", "redis.call('HDEL', key, 'email', 'role')"],
    ["announce('logout', session.sid)", ''],
    ["announce('logout', session.sid)", "announce('expired', session.sid)"]
  ],
  list: [
    ['fields, ended }', 'fields, {} }'],
    ["redis.call('HGETALL', key) or {}", '{}'],
    ['settle(live)\nlocal rows', 'local rows'],
    ['session.label, session.gen', "'', session.gen"],
    ['session.created, session.rotated', 'session.rotated, session.created']
  ],
  find: [
    ['now < expires and expires', 'now <= expires and expires'],
    ['now < expires and expires', 'expires'],
    ['current, created, rotated, expires, record', 'current, rotated, created, expires, record'],
    ["record[4] or '', record[5] or ''", "record[5] or '', record[4] or ''"]
  ],
  'update-profile': [
    ["{ 'updated', nowMs, ended }", "{ 'updated', nowMs, {} }"],
    ["return { 'absent', nowMs, ended }", "return { 'absent', nowMs, {} }"],
    ['settle(live)\nsetProfile', 'setProfile'],
    ['settle(live)\nreturn', 'return'],
    ['if #live == 0 then', 'if false then'],
    ['{ ARGV[4], ARGV[5],', '{ ARGV[5], ARGV[4],'],
    ['ARGV[5], ARGV[6] }', "ARGV[5], '' }"],
    ['}, false,', '}, true,'],
    ['rememberChange(nowMs / 1000)\n', ''],
    ['rememberChange(nowMs / 1000)', 'rememberChange(now)'],
    ["  redis.call('EXPIREAT', key, now + MEMORY)\n", '']
  ]
}

const ofFaces: Record<string, Array<[string, string]>> = {
  rotate: [
    ["if ownClient and ownClient ~= client then return { 'client_mismatch' } end", ''],
    ['if ownClient and ownClient ~= client then', 'if ownClient ~= client then'],
    ["if jkt and jkt ~= proved then return { 'key_mismatch' } end", ''],
    ["if jkt and jkt ~= proved then return { 'key_mismatch' } end", "if jkt and proved ~= '-' and jkt ~= proved then return { 'key_mismatch' } end"],
    ["if outcome == 'rotated' and shared == '+' and current > 0 and math.abs(now - rotated) < window then outcome = 'retried' end", ''],
    ["outcome == 'rotated' and shared == '+' and", "outcome == 'rotated' and"],
    ["outcome == 'rotated' and shared == '+' and", "shared == '+' and"],
    ["shared == '+' and current > 0 and math.abs(now - rotated) < window", "shared == '+'"],
    ['local isRepeat = jkt or attempt', 'local isRepeat = attempt'],
    ["local isNew = not jkt and proved ~= '-'", 'local isNew = false'],
    ["local isNew = not jkt and proved ~= '-'", "local isNew = not jkt and proved ~= '-' and outcome ~= 'retried'"],
    ['local isBound = ownClient or jkt', 'local isBound = jkt'],
    ['local isBound = ownClient or jkt', 'local isBound = ownClient']
  ],
  revoke: [["if record[2] and record[2] ~= ARGV[7] then return { 'client_mismatch', nowMs } end", '']],
  common: [
    ["'o:' .. sid, 'k:' .. sid)", "'o:' .. sid)"],
    ["'o:' .. sid, 'k:' .. sid)", "'k:' .. sid)"]
  ]
}

const all = (scripts: Record<string, Array<[string, string]>>, isOfFaces: boolean): Mutant[] =>
  Object.entries(scripts).flatMap(([script, changes]) => changes.map(([from, to]) => ({ script, from, to, isOfFaces })))

export const mutants: Mutant[] =
  [...all(ofFaces, true), ...all({ rotate, 'rotation-rule': rotationRule, open, common, ...others }, false)]
