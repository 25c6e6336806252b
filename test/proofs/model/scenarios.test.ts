import t, { type Test } from 'tap'
import { startRedis, type PrivateRedis } from '../../support/helper.ts'
import { changeRules, furthest, list, open, refresh, revoke, revokeAll, updateProfile, type Command } from './commands.ts'
import { loseRotations, pass, passToExpiry, persist, rollBack, save, setBack } from './steps.ts'
import type { Rules } from './model.ts'
import { mutate, type Mutant } from './mutants.ts'
import { runCommands } from './runs.ts'
import { createWorlds } from './world.ts'

/**
 * Named runs for rules that are easy to get wrong, shrunk from random counterexamples. Each run passes with the real scripts,
 * and fails with its mutant.
 */

const rules: Rules = { idleTtl: 100, absoluteTtl: 600, retryWindow: 30, maxSessionsPerUser: 2 }

/** Exceeds the listpack limit set below, so that Redis stores the hash without a fixed order. */
const longEmail = `${'x'.repeat(80)}@keygenqt.com`

const login = (device: string, email = 'one@keygenqt.com'): Command => open(device, '', email, 'GUEST')

interface Life { commands: Command[], mutant: Mutant, rules?: Partial<Rules>, times?: number }

const lives: Record<string, Life> = {
  'evicts the session opened first when two were last used in the same second, in any order of the hash': {
    commands: [login('phone', longEmail), pass(1000), login('laptop', longEmail), pass(1000),
      refresh('phone', 0), refresh('laptop', 0), login('tablet', longEmail)],
    mutant: { script: 'open', from: 'if a.created ~= b.created then return a.created > b.created end', to: '' },
    times: 20
  },
  'keeps the record as long as its longest session, also after the idle time was lowered': {
    commands: [login('phone'), changeRules({ idleTtl: 10 }), login('laptop')],
    mutant: { script: 'open', from: 'settle(others)', to: "redis.call('EXPIREAT', key, expires)" }
  },
  'lets the record expire sooner after a refresh under a lowered idle time, but keeps it for the other session': {
    commands: [login('phone'), login('laptop'), changeRules({ idleTtl: 10 }), refresh('phone', 0), refresh('laptop', 0)],
    mutant: { script: 'rotate', from: 'if renewed < expires or', to: 'if' }
  },
  'reports a session that a refresh under a lowered idle time removes because it has expired': {
    commands: [login('phone'), pass(90_000), login('laptop'), pass(20_000), changeRules({ idleTtl: 10 }), refresh('laptop', 0)],
    mutant: { script: 'rotate', from: '#ended > 0 or record[6] or record[7]', to: 'record[6] or record[7]' }
  },
  'evicts as many sessions as a lowered cap demands': {
    commands: [login('phone'), login('laptop'), login('tablet'), changeRules({ maxSessionsPerUser: 1 }), login('watch')],
    mutant: { script: 'open', from: 'while #others >= cap do', to: 'if #others >= cap then' },
    rules: { maxSessionsPerUser: 3 }
  },
  'ends a session older than a lowered absolute lifetime at its next refresh, without issuing tokens': {
    commands: [login('phone'), pass(50_000), changeRules({ absoluteTtl: 50 }), refresh('phone', 0)],
    mutant: { script: 'rotation-rule', from: 'if now >= last then', to: 'if now > last then' }
  },
  'keeps the record for other sessions when a session near its absolute end is refreshed': {
    commands: [login('phone'), pass(60_000), login('laptop'), refresh('phone', 0)],
    mutant: { script: 'rotate', from: "date, 'GT')", to: 'date)' },
    rules: { absoluteTtl: 130 }
  },
  'accepts a retry in the last second of the window, and rejects one in the first second after it': {
    commands: [login('phone'), pass(500), refresh('phone', 0), pass(29_499), refresh('phone', 1), pass(1), refresh('phone', 2)],
    mutant: { script: 'rotation-rule', from: 'math.abs(now - rotated) < window', to: 'math.abs(now - rotated) <= window' }
  },
  'accepts a retry with the key of the rotation until the session ends': {
    commands: [login('phone'), refresh('phone', 0, 'one'), pass(98_999), refresh('phone', 1, 'one'), pass(1001), refresh('phone', 2, 'one')],
    mutant: { script: 'rotation-rule', from: "if isRepeat and gen == current - 1 then return 'retried', expires end", to: '' }
  },
  'treats a used token with another key as reuse after the window': {
    commands: [login('phone'), refresh('phone', 0, 'one'), pass(30_000), refresh('phone', 1, 'two')],
    mutant: { script: 'rotate', from: 'attempt == last', to: 'true' }
  },
  'treats a used token as reuse although its key comes with it, once its successor was used with the same key': {
    commands: [login('phone'), refresh('phone', 0, 'one'), refresh('phone', 0, 'one'), refresh('phone', 2, 'one')],
    mutant: { script: 'rotation-rule', from: 'if isRepeat and gen == current - 1 then', to: 'if isRepeat then' }
  },
  'forgets a key at the next rotation without a key': {
    commands: [login('phone'), refresh('phone', 0, 'one'), refresh('phone', 0), pass(30_000), refresh('phone', 1, 'one')],
    mutant: { script: 'rotate', from: 'renewed, device, attempt,', to: "renewed, device, attempt == '-' and last or attempt," }
  },
  'accepts a retry within the window without the key, which stays for a later one': {
    commands: [login('phone'), refresh('phone', 0, 'one'), refresh('phone', 1), refresh('phone', 2, 'two'), pass(30_000), refresh('phone', 3, 'one')],
    mutant: {
      script: 'rotate',
      from: "return complete({ 'retried'",
      to: "redis.call('HSET', key, field, format(current, created, rotated, expires, owner, attempt)) return complete({ 'retried'"
    }
  },
  'refreshes a revoked session again after a rollback restored it': {
    commands: [login('phone'), save, revoke(0), refresh('phone', 0), rollBack(0), refresh('phone', 0)],
    mutant: { script: 'revoke', from: 'remove(session.sid, ARGV[5])', to: '' }
  },
  'recovers a client two generations ahead of Redis, which lost them': {
    commands: [login('phone'), loseRotations('phone', 2), refresh('phone', 0), refresh('phone', 1), refresh('phone', 3)],
    mutant: { script: 'rotate', from: 'format(gen + 1,', to: 'format(current + 1,' }
  },
  'rejects a token ahead of the record after the token itself expired': {
    commands: [login('phone'), loseRotations('phone', 2), pass(99_000), refresh('phone', 2), pass(1000), furthest('phone')],
    mutant: { script: 'rotation-rule', from: 'if exp < last then last = exp end', to: '' }
  },
  'treats a used token as reuse after the clock was set back by more than the window': {
    commands: [login('phone'), refresh('phone', 0), setBack(3_600_000), refresh('phone', 1)],
    mutant: { script: 'rotation-rule', from: 'math.abs(now - rotated)', to: '(now - rotated)' }
  },
  'sets the expiry of a permanent key by its longest session, not by the refreshed one': {
    commands: [login('phone'), pass(60_000), login('laptop'), persist, refresh('phone', 0)],
    mutant: { script: 'rotate', from: "redis.call('EXPIREAT', key, date, 'NX') == 1", to: "redis.call('EXPIREAT', key, date, 'NX') == 2" },
    rules: { absoluteTtl: 130 }
  },
  'forgets a log-out everywhere exactly ten minutes later': {
    commands: [revokeAll, login('phone'), pass(600_000), list, revoke(0)],
    mutant: { script: 'common', from: '(loggedOutAt or 0) + MEMORY <= now', to: '(loggedOutAt or 0) + MEMORY < now' },
    rules: { idleTtl: 1000, absoluteTtl: 1000 }
  },
  'forgets a profile change and the profile exactly ten minutes later': {
    commands: [login('phone'), updateProfile({ role: 'ADMIN' }), pass(600_000), revoke(0)],
    mutant: { script: 'common', from: '(profileChangedAt or 0) + MEMORY <= now', to: '(profileChangedAt or 0) + MEMORY < now' },
    rules: { idleTtl: 1000, absoluteTtl: 1000 }
  },
  'forgets a profile change sooner than an earlier log-out if the clock was set back in between': {
    commands: [revokeAll, setBack(20_000), login('phone'), updateProfile({ role: 'ADMIN' }), pass(605_000), revoke(0)],
    mutant: { script: 'common', from: "'email', 'role', 'c', 'profileChangedAt')", to: "'email', 'role', 'c')" },
    rules: { idleTtl: 1000, absoluteTtl: 1000 }
  },
  'keeps a demotion of a user whose sessions were listed after a log-out everywhere': {
    commands: [login('phone'), revokeAll, pass(300_000), list, updateProfile({ role: 'GUEST' }), pass(400_000),
      open('phone', '', 'one@keygenqt.com', 'ADMIN', 500_000)],
    mutant: { script: 'update-profile', from: "  redis.call('EXPIREAT', key, now + MEMORY)\n", to: '' }
  },
  'expires a session in the second that its record says, and announces it at the next command': {
    commands: [login('phone'), pass(1000), login('laptop'), passToExpiry(0), list, list],
    mutant: { script: 'common', from: 'expires <= now', to: 'expires < now' }
  }
}

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t, ['--appendonly', 'no', '--hash-max-listpack-value', '64']) })

for (const [i, [name, life]] of Object.entries(lives).entries()) {
  t.test(name, async t => {
    await live(t, life, `life${i}:`)
    await t.rejects(live(t, life, `mutant${i}:`, life.mutant))
  })
}

async function live (t: Test, { commands, rules: special, times = 1 }: Life, prefix: string, mutant?: Mutant): Promise<void> {
  const worlds = await createWorlds(t, redis, prefix, mutant && mutate(mutant))
  for (let i = 0; i < times; i++) await runCommands(worlds, { ...rules, ...special }, commands)
}
