import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { userKey } from '#src/redis/records'
import { build, claimsOf, startRedis, type PrivateRedis, type Service } from '../../support/helper.ts'
import { createRandom } from '../../support/random.ts'
import { linearize, type Operation, type Specification } from './checker.ts'
import { authenticate, nothing, record, recordCall, recordLogins, type History, type Perform } from './history.ts'
import { PROFILE, sessions, type Answer, type Call, type Held } from './sessions.ts'

/** Shows that the checker can fail: on handmade histories, and on a store that reads, then writes. */

type Access = { write: number } | 'read'

/** A register that holds a number; a write is answered with the number written. */
const register: Specification<number, Access, number> = {
  initial: 0,
  key: String,
  step: (value, access, answer) => access === 'read'
    ? answer === undefined || answer === value ? value : undefined
    : access.write
}

/** `from` and `to` are times; without `answer`, the answer is unknown. */
const op = (call: Access, from: number, to: number, answer?: number): Operation<Access, number> =>
  ({ call, calledAt: from, answeredAt: to, answer })

t.test('accepts linearizable histories of a register, and rejects others', async t => {
  t.same(linearize([], register), [])
  t.same(linearize([op({ write: 1 }, 0, 1, 1), op('read', 2, 3, 1)], register), [0, 1])
  t.equal(linearize([op({ write: 1 }, 0, 1, 1), op('read', 2, 3, 0)], register), undefined, 'rejects a read of the overwritten value after the write')
  t.same(linearize([op({ write: 1 }, 0, 5, 1), op('read', 1, 2, 0), op('read', 3, 4, 1)], register), [1, 0, 2], 'accepts reads of the old, then the new value during a write')
  t.equal(linearize([op({ write: 1 }, 0, 5, 1), op('read', 1, 2, 1), op('read', 3, 4, 0)], register), undefined, 'rejects reads of the new, then the old value during a write')
  t.throws(() => linearize(Array(32).fill(op('read', 0, 1, 0)), register), RangeError)
})

t.test('a call with an unknown answer took effect in time, or never', async t => {
  const lost = op({ write: 1 }, 0, 2)
  t.same(linearize([lost, op('read', 3, 4, 0)], register), [1], 'it never took effect')
  t.same(linearize([lost, op('read', 3, 4, 1)], register), [0, 1], 'it took effect in time')
  t.same(linearize([lost, op('read', 1, 2, 0), op('read', 1, 2, 1)], register), [1, 0, 2])
  t.equal(linearize([lost, op('read', 3, 4, 0), op('read', 5, 6, 1)], register), undefined, 'it can\'t take effect later')
})

let redis: PrivateRedis
let service: Service
let users = 0
t.before(async () => {
  redis = await startRedis(t, ['--appendonly', 'no'])
  service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
})

/** The store of one replica in this process, with `refresh` in place of its own refresh. */
function withRefresh (userId: number, refresh: (token: Held, key?: string) => Promise<Answer>): Perform {
  const store = service.public.store
  return async (call: Call) => {
    switch (call.type) {
      case 'authenticate': return await authenticate(call.name)
      case 'open': {
        const { device, label, login } = call
        const authenticated = login && { authenticatedAt: login.authenticatedAt }
        const opened = await store.open({ userId, deviceId: device, label, ...PROFILE, ...authenticated })
          .catch((err: Error & { code: string }) => err)
        if ('code' in opened) return { answer: opened.code === 'RTS_LOGGED_OUT_SINCE' ? { type: 'refused' } : undefined }
        const { generation: { sid }, profile: { role } } = opened
        const bytes = service.public.tokens.signRefresh(opened.generation)
        return { answer: { type: 'tokens', token: { bytes, sid, gen: 1, device }, role } }
      }
      case 'refresh': return { answer: await refresh(call.token, call.key) }
      case 'revoke': {
        await store.revoke(userId, call.sid)
        return { answer: { type: 'done' } }
      }
      case 'revokeAll': {
        await store.revokeAll(userId)
        return { answer: { type: 'done' } }
      }
      case 'updateProfile': return { answer: { type: 'updated', updated: await store.updateProfile(userId, { role: call.role }) } }
      case 'list': {
        const listed = await store.list(userId)
        return { answer: { type: 'listed', sessions: listed.map(({ label, gen }) => `${label} ${gen}`).sort() } }
      }
    }
  }
}

/** Refreshes by the script, without a retry window: every token works once, or again with its Idempotency-Key. */
const atomic = (): Perform => withRefresh(++users, async ({ bytes, device }, key) => {
  const response = await service.refresh(bytes, device, key === undefined ? {} : { 'idempotency-key': key })
  if (response.statusCode === 400) return { type: 'refused' }
  const { refreshToken, role } = response.json()
  const { sid, gen } = claimsOf(refreshToken)
  return { type: 'tokens', token: { bytes: refreshToken, sid, gen, device }, role }
})

/** Refreshes as many tutorials do: reads the session, decides, then writes it. */
function readThenWrite (between: () => Promise<unknown>): Perform {
  const userId = ++users
  const key = userKey(service.config.REDIS_PREFIX, userId)
  return withRefresh(userId, async ({ sid, gen, device }) => {
    const field = `s:${sid}`
    const [session, role] = await redis.client.hmget(key, field, 'role')
    const [current, ...rest] = (session ?? '').split(':')
    if (current === '') return { type: 'refused' }
    if (gen < Number(current)) {
      await service.public.store.revoke(userId, sid)
      return { type: 'refused' }
    }
    await between()
    await redis.client.hset(key, field, [gen + 1, ...rest].join(':'))
    const iat = Number(rest[1])
    const bytes = service.public.tokens.signRefresh({ id: userId, sid, gen: gen + 1, iat, exp: iat + 1000 })
    return { type: 'tokens', token: { bytes, sid, gen: gen + 1, device }, role: role! }
  })
}

t.test('rejects a history in which a log-out falls between the read and the write of a refresh', async t => {
  const history: History = []
  const known = nothing()
  const { held } = known
  let sid = ''
  const perform = readThenWrite(async () => await recordCall(history, perform, { type: 'revoke', sid }))
  await recordCall(history, perform, { type: 'open', device: 'phone', label: 'op0' }, known)
  sid = held[0]!.sid
  await recordCall(history, perform, { type: 'refresh', token: held[0]! }, known)
  t.ok(linearize(history, sessions(0)), 'accepts the history so far: the refresh may have been first')
  await recordCall(history, perform, { type: 'list' })
  t.equal(linearize(history, sessions(0)), undefined, 'rejects a refresh of the session after its log-out')
})

t.test('rejects a history in which two refreshes spend one token', async t => {
  const history: History = []
  const known = nothing()
  const { held } = known
  let isNested = false
  const perform = readThenWrite(async () => {
    if (!isNested) {
      isNested = true
      await recordCall(history, perform, { type: 'refresh', token: held[0]! })
    }
  })
  await recordCall(history, perform, { type: 'open', device: 'phone', label: 'op0' }, known)
  await recordCall(history, perform, { type: 'refresh', token: held[0]! })
  t.equal(linearize(history, sessions(0)), undefined)
})

t.test('rejects a log-in under way that undoes a log-out or a demotion', async t => {
  /** Makes calls one after the other: begins a log-in, calls `between`, and opens the log-in's session. */
  const loginAround = async (between: Call, alter: (perform: Perform) => Perform): Promise<History> => {
    const history: History = []
    const known = nothing()
    const perform = alter(atomic())
    await recordCall(history, perform, { type: 'authenticate', name: 'login' }, known)
    await recordCall(history, perform, between, known)
    await recordCall(history, perform, { type: 'open', device: 'phone', label: 'op0', login: known.logins[0] }, known)
    return history
  }
  /** A store that ignores when the log-in began. */
  const careless = (perform: Perform): Perform => async call => await perform(call.type === 'open' ? { ...call, login: undefined } : call)
  for (const between of [{ type: 'revokeAll' }, { type: 'updateProfile', role: 'DEMOTED' }] as const) {
    t.ok(linearize(await loginAround(between, perform => perform), sessions(0)), `${between.type}: accepts the real store`)
    t.equal(linearize(await loginAround(between, careless), sessions(0)), undefined, `${between.type}: rejects a store that ignores authenticatedAt`)
  }
  let caught = 0
  for (let seed = 0; seed < 20; seed++) {
    if (linearize(await recordLogins(careless(atomic()), createRandom(seed)), sessions(0)) === undefined) caught++
    t.ok(linearize(await recordLogins(atomic(), createRandom(seed)), sessions(0)))
  }
  t.ok(caught > 0, `rejects ${caught} of 20 histories of the store that ignores authenticatedAt`)
})

t.test('rejects random histories of a store that reads, then writes, and none of the script', async t => {
  const isLinearizable = async (perform: Perform, seed: number): Promise<boolean> => {
    const history = await record(perform, createRandom(seed))
    await recordCall(history, perform, { type: 'list' })
    return linearize(history, sessions(0)) !== undefined
  }
  const histories = 50
  const caught = { broken: 0, script: 0 }
  for (let seed = 0; seed < histories; seed++) {
    if (!await isLinearizable(readThenWrite(setImmediate), seed)) caught.broken++
    if (!await isLinearizable(atomic(), seed)) caught.script++
  }
  t.ok(caught.broken > 0, `rejects ${caught.broken} of ${histories} histories of the broken store`)
  t.equal(caught.script, 0, 'rejects no history of the script')
})
