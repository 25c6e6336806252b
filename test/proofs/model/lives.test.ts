import t, { type Test } from 'tap'
import { startRedis, type PrivateRedis } from '../../support/helper.ts'
import { changeRules, furthest, list, open, refresh, revoke, revokeAll, updateProfile, type Command } from './commands.ts'
import { loseRotations, pass, passToExpiry, persist, rollBack, save, setBack } from './happenings.ts'
import type { Rules } from './model.ts'
import { mutate, type Mutant } from './mutants.ts'
import { runCommands } from './runs.ts'
import { createWorlds } from './world.ts'

/**
 * Shrunk and named runs that random ones led to, for rules that are easy to get wrong. Each run passes with the real scripts,
 * and fails with its mutant.
 */

const rules: Rules = { idleTtl: 100, absoluteTtl: 600, retryWindow: 30, maxSessionsPerUser: 2 }

/** Too long for a listpack with the setting below, so that the hash has no fixed order. */
const longEmail = `${'x'.repeat(80)}@keygenqt.com`

const login = (device: string, email = 'one@keygenqt.com'): Command => open(device, '', email, 'GUEST')

interface Life { commands: Command[], mutant: Mutant, rules?: Partial<Rules>, times?: number }

const lives: Record<string, Life> = {
  'of two used last in one second, the one that was opened first makes room, in whatever order the hash is': {
    commands: [login('phone', longEmail), pass(1000), login('laptop', longEmail), pass(1000),
      refresh('phone', 0), refresh('laptop', 0), login('tablet', longEmail)],
    mutant: { script: 'open', from: 'if a.created ~= b.created then return a.created > b.created end', to: '' },
    times: 20
  },
  'the record lives as long as its longest session, also when the idle time was lowered': {
    commands: [login('phone'), changeRules({ idleTtl: 10 }), login('laptop')],
    mutant: { script: 'open', from: 'settle(others)', to: "redis.call('EXPIREAT', key, expires)" }
  },
  'a refresh under a lowered idle time lets the record go sooner, and keeps it for the other session': {
    commands: [login('phone'), login('laptop'), changeRules({ idleTtl: 10 }), refresh('phone', 0), refresh('laptop', 0)],
    mutant: { script: 'rotate', from: 'if renewed < expires or', to: 'if' }
  },
  'a lowered absolute lifetime ends what is older at its next refresh, which hands out nothing': {
    commands: [login('phone'), pass(50_000), changeRules({ absoluteTtl: 50 }), refresh('phone', 0)],
    mutant: { script: 'rotation-rule', from: 'if now >= last then', to: 'if now > last then' }
  },
  'a session near its absolute end does not shorten the others': {
    commands: [login('phone'), pass(60_000), login('laptop'), refresh('phone', 0)],
    mutant: { script: 'rotate', from: "date, 'GT')", to: 'date)' },
    rules: { absoluteTtl: 130 }
  },
  'a retry at the last second of the window, and one at the first after it': {
    commands: [login('phone'), pass(500), refresh('phone', 0), pass(29_499), refresh('phone', 1), pass(1), refresh('phone', 2)],
    mutant: { script: 'rotation-rule', from: 'math.abs(now - rotated) < window', to: 'math.abs(now - rotated) <= window' }
  },
  'a rollback that brings back a session that was revoked': {
    commands: [login('phone'), save, revoke(0), refresh('phone', 0), rollBack(0), refresh('phone', 0)],
    mutant: { script: 'revoke', from: 'remove(session.sid, ARGV[5])', to: '' }
  },
  'a client two generations ahead of a Redis that lost them': {
    commands: [login('phone'), loseRotations('phone', 2), refresh('phone', 0), refresh('phone', 1), refresh('phone', 3)],
    mutant: { script: 'rotate', from: 'format(gen + 1,', to: 'format(current + 1,' }
  },
  'a token ahead of the record that has expired itself': {
    commands: [login('phone'), loseRotations('phone', 2), pass(99_000), refresh('phone', 2), pass(1000), furthest('phone')],
    mutant: { script: 'rotation-rule', from: 'if exp < last then last = exp end', to: '' }
  },
  'a used token after the clock was set back by more than the window': {
    commands: [login('phone'), refresh('phone', 0), setBack(3_600_000), refresh('phone', 1)],
    mutant: { script: 'rotation-rule', from: 'math.abs(now - rotated)', to: '(now - rotated)' }
  },
  'a key without an expiry is dated by its longest session, not by the one that is refreshed': {
    commands: [login('phone'), pass(60_000), login('laptop'), persist, refresh('phone', 0)],
    mutant: { script: 'rotate', from: "redis.call('EXPIREAT', key, date, 'NX') == 1", to: "redis.call('EXPIREAT', key, date, 'NX') == 2" },
    rules: { absoluteTtl: 130 }
  },
  'ten minutes after a log-out everywhere, to the second, nothing is left of it': {
    commands: [revokeAll, login('phone'), pass(600_000), list, revoke(0)],
    mutant: { script: 'common', from: '(loggedOutAt or 0) + MEMORY <= now', to: '(loggedOutAt or 0) + MEMORY < now' },
    rules: { idleTtl: 1000, absoluteTtl: 1000 }
  },
  'ten minutes after a change of the profile, to the second, neither is left': {
    commands: [login('phone'), updateProfile({ role: 'ADMIN' }), pass(600_000), revoke(0)],
    mutant: { script: 'common', from: '(profileChangedAt or 0) + MEMORY <= now', to: '(profileChangedAt or 0) + MEMORY < now' },
    rules: { idleTtl: 1000, absoluteTtl: 1000 }
  },
  'a change before the log-out, by a clock that was set back, is forgotten before it': {
    commands: [revokeAll, setBack(20_000), login('phone'), updateProfile({ role: 'ADMIN' }), pass(605_000), revoke(0)],
    mutant: { script: 'common', from: "'email', 'role', 'profileChangedAt')", to: "'email', 'role')" },
    rules: { idleTtl: 1000, absoluteTtl: 1000 }
  },
  'a demotion of a user whom a reader has looked at since the log-out': {
    commands: [login('phone'), revokeAll, pass(300_000), list, updateProfile({ role: 'GUEST' }), pass(400_000),
      open('phone', '', 'one@keygenqt.com', 'ADMIN', 500_000)],
    mutant: { script: 'update-profile', from: "  redis.call('EXPIREAT', key, now + MEMORY)\n", to: '' }
  },
  'a session expires in the very second that its record says, and is announced by whoever walks by': {
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
