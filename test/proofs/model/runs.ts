import assert from 'node:assert/strict'
import fc from 'fast-check'
import { START_MS } from '../../support/clock.ts'
import {
  changeRules, erase, find, furthest, list, logOut, open, ownCredentials, read, refresh, refreshWith, replay,
  revoke, revokeAll, revokeOthers, rotateSecrets, updateProfile, wrongDevice, type Command, type Expected
} from './commands.ts'
import { arriveAgain, loseAnswer, loseRotations, outliveLost, pass, passToEnd, passToExpiry, persist, rollBack, save, setBack } from './steps.ts'
import * as model from './model.ts'
import { KEYRINGS, type Own, type World, type Worlds } from './world.ts'

/** Random runs of commands on one user, and the invariants of a whole run. */

/** First with a retry window; then without one, but with a short absolute lifetime; then with an absolute lifetime below the idle TTL. */
export const RULES: model.Rules[] = [
  { idleTtl: 100, absoluteTtl: 600, retryWindow: 30, maxSessionsPerUser: 3 },
  { idleTtl: 100, absoluteTtl: 130, retryWindow: 0, maxSessionsPerUser: 2 },
  { idleTtl: 100, absoluteTtl: 70, retryWindow: 30, maxSessionsPerUser: 2 }
]

/** The phone is used more than the others, so that its sessions reach higher generations. */
const device = fc.constantFrom('phone', 'phone', 'phone', 'laptop', 'laptop', 'tablet', 'watch')

/** Some sessions have no device, and some have lifetimes of their own, also longer ones than a changed configuration. */
const loginDevice = fc.oneof({ weight: 8, arbitrary: device }, { weight: 1, arbitrary: fc.constant(undefined) })
const lifetimes = fc.constantFrom<Own>({}, {}, {}, {}, {}, { idleTtl: 60 }, { absoluteTtl: 80 }, { idleTtl: 70, absoluteTtl: 300 })

const email = fc.constantFrom('one@keygenqt.com', 'two@keygenqt.com')
const role = fc.constantFrom('GUEST', 'ADMIN')

/** Some log-ins give no e-mail address or role. */
const loginEmail = fc.oneof({ weight: 3, arbitrary: email }, { weight: 1, arbitrary: fc.constant(undefined) })
const loginRole = fc.oneof({ weight: 3, arbitrary: role }, { weight: 1, arbitrary: fc.constant(undefined) })

/** Equal names in both, so that one replaces the other. */
const userClaims = fc.constantFrom({}, { plan: 'gold' }, { plan: 'iron', tags: ['a'] })
const claims = fc.record({ user: userClaims, session: fc.constantFrom({ amr: ['pwd'] }, { plan: 'trial' }) }, { requiredKeys: [] })

const change: fc.Arbitrary<Partial<model.Rules>> = fc.constantFrom(
  { maxSessionsPerUser: 1 }, { maxSessionsPerUser: 2 }, { maxSessionsPerUser: 3 },
  { idleTtl: 50 }, { idleTtl: 100 }, { absoluteTtl: 70 }, { absoluteTtl: 600 }, { retryWindow: 0 }, { retryWindow: 30 }
)

/** Times around every limit of the rules, and fractions of a second. */
const milliseconds = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(1, 400, 999, 1000, 15_000) },
  { weight: 4, arbitrary: fc.constantFrom(28_999, 29_000, 30_000, 31_000) },
  { weight: 2, arbitrary: fc.constantFrom(60_000, 69_999, 99_000) },
  { weight: 1, arbitrary: fc.constantFrom(99_999, 100_000, 250_000, 599_000, 600_000) }
)

/** Milliseconds since a log-in began: mostly undefined or short, sometimes an hour, sometimes negative (a time in the future). */
const ago = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 3, arbitrary: fc.constantFrom(0, 1, 400, 999) },
  { weight: 3, arbitrary: fc.constantFrom(1000, 15_000, 100_000) },
  { weight: 1, arbitrary: fc.constantFrom(599_000, 601_000, 3_600_000, -1, -60_000, -60_001) }
)

/** Idempotency-Keys; most refreshes have none. */
const key = fc.constantFrom(undefined, undefined, 'one', 'two')

/** Refreshes and openings are the most frequent commands. */
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(loginDevice, fc.constantFrom('', 'Pixel 9'), loginEmail, loginRole, ago, lifetimes, claims).map(args => open(...args)) },
  { weight: 12, arbitrary: fc.tuple(device, fc.constant(0), key).map(args => refresh(...args)) },
  { weight: 4, arbitrary: fc.tuple(device, fc.constant(1), key).map(args => refresh(...args)) },
  { weight: 1, arbitrary: fc.tuple(device, fc.integer({ min: 2, max: 5 }), key).map(args => refresh(...args)) },
  { weight: 2, arbitrary: fc.tuple(device, fc.constantFrom('one', 'two'), milliseconds).map(args => loseAnswer(...args)) },
  { weight: 1, arbitrary: fc.tuple(device, fc.constantFrom('one', 'two')).map(args => arriveAgain(...args)) },
  { weight: 2, arbitrary: device.map(furthest) },
  { weight: 1, arbitrary: fc.nat(99).map(replay) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(99), device, fc.constantFrom(wrongDevice, logOut)).map(([n, device, run]) => run(n, device)) },
  { weight: 2, arbitrary: fc.tuple(fc.nat(99), fc.constantFrom(revoke, logOut, revokeOthers)).map(([n, run]) => run(n)) },
  { weight: 4, arbitrary: fc.constantFrom(revokeAll, revokeAll, erase, list, list, list, read, read) },
  { weight: 1, arbitrary: fc.constant(rotateSecrets) },
  { weight: 1, arbitrary: fc.record({ email, role, userClaims }, { requiredKeys: [] }).map(updateProfile) },
  { weight: 2, arbitrary: fc.nat(99).map(find) },
  { weight: 1, arbitrary: change.map(changeRules) },
  { weight: 6, arbitrary: milliseconds.map(pass) },
  { weight: 1, arbitrary: fc.constantFrom(-1, 0, 0, 1000).map(passToExpiry) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1).map(passToEnd) },
  { weight: 1, arbitrary: fc.constantFrom(1, 400, 20_000, 30_000, 3_600_000).map(setBack) },
  { weight: 1, arbitrary: fc.constant(persist) },
  { weight: 1, arbitrary: fc.constant(save) },
  { weight: 1, arbitrary: fc.constantFrom(0, 0, 1, 3).map(rollBack) },
  { weight: 2, arbitrary: fc.tuple(device, fc.integer({ min: 1, max: 3 })).map(args => loseRotations(...args)) },
  { weight: 1, arbitrary: device.map(outliveLost) }
)

const clientId = fc.constantFrom(undefined, 'app', 'shop')
const jkt = fc.constantFrom(undefined, 'a'.repeat(43), 'b'.repeat(43))

/** Refreshes of OAuth clients, of holders of keys and of browsers, beside what else happens to their sessions. */
export const ofFaces: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(device, fc.record({ clientId, jkt, idleTtl: fc.constantFrom(60, 200) }, { requiredKeys: [] }))
      .map(([device, own]) => open(device, '', 'one@keygenqt.com', 'GUEST', undefined, JSON.parse(JSON.stringify(own))))
  },
  { weight: 6, arbitrary: fc.tuple(device, fc.constantFrom(0, 0, 1, 2), key).map(args => refresh(...args)) },
  {
    weight: 8,
    arbitrary: fc.tuple(device, fc.constantFrom(0, 0, 1), fc.record({ clientId, jkt, shared: fc.boolean(), key }, { requiredKeys: [] }))
      .map(args => refreshWith(...args))
  },
  { weight: 4, arbitrary: device.map(device => refreshWith(device, 0, { shared: true })) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(99), clientId).map(([n, client]) => logOut(n, undefined, client)) },
  { weight: 1, arbitrary: fc.tuple(device, fc.integer({ min: 1, max: 3 })).map(args => loseRotations(...args)) },
  { weight: 2, arbitrary: fc.nat(99).map(find) },
  { weight: 2, arbitrary: fc.constantFrom(list, read, revokeAll) },
  { weight: 1, arbitrary: change.map(changeRules) },
  { weight: 5, arbitrary: milliseconds.map(pass) }
)

/** Runs commands on a new user, then checks every token. */
export async function runCommands (
  worlds: Worlds, rules: model.Rules, commands: Iterable<Command>, seen = new Map<string, number>()
): Promise<void> {
  const world = worlds(rules)
  const expected: Expected = { rules, ms: START_MS, user: null, issued: [], snapshots: [], rolledBack: false, seen }
  await world.turn(START_MS)
  await fc.asyncModelRun(() => ({ model: expected, real: world }), commands)
  await checkEveryToken(expected, world)
}

/**
 * Checks that every token ever issued gets the model's answer now, and that at most one generation of each session is live.
 * Unless Redis lost writes, only one token is rotated, only its predecessor is retried, and none is recovered.
 */
async function checkEveryToken (expected: Expected, world: World): Promise<void> {
  const saved = await world.save()
  const now = Math.floor(expected.ms / 1000)
  const rotated = new Map<string, Set<string>>()
  for (const issued of new Map(expected.issued.map(issued => [issued.bytes, issued])).values()) {
    const { token, bytes, device: asDevice = 'phone' } = issued
    const credentials = ownCredentials(expected, issued)
    const { refreshed } = await world.refresh(bytes, asDevice, credentials)
    const keys = KEYRINGS[world.keyring]!
    const { user, events, reply } = model.refresh(expected.user, expected.rules, now, keys, token, asDevice, credentials)
    assert.deepEqual(refreshed, reply)
    await world.check(user, events)
    if (reply.outcome === 'rotated') {
      const live = expected.rolledBack ? `${token.gen}` : `${token.gen} of ${token.iat} to ${token.exp}`
      rotated.set(token.sid, (rotated.get(token.sid) ?? new Set()).add(live))
    }
    assert.ok(reply.outcome !== 'recovered' || expected.rolledBack)
    if (user !== expected.user) await world.restore(saved)
  }
  for (const live of rotated.values()) assert.equal(live.size, 1, 'each session has one live generation')
}

/** The first commands of every random run. */
const beginning = [open('phone', '', 'one@keygenqt.com', 'GUEST'), pass(1000), open('laptop', 'Pixel 9', 'one@keygenqt.com', 'GUEST')]

/** Random rules and commands; a failure throws the shrunk counterexample. */
export function runProperty (worlds: Worlds, seen = new Map<string, number>(), commands = command): fc.IAsyncProperty<unknown[]> {
  return fc.asyncProperty(
    fc.constantFrom(RULES[0]!, ...RULES),
    fc.commands([commands], { maxCommands: 80, size: 'max' }),
    async (rules, commands) => { await runCommands(worlds, rules, [...beginning, ...commands], seen) }
  )
}
