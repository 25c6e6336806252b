import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { userKey } from '../../src/sessions/record.ts'
import { build, claimsOf, startRedis, type PrivateRedis, type Service } from '../helper.ts'
import { createRandom } from '../random.ts'
import { linearize, type Operation, type Specification } from './checker.ts'
import { record, recordCall, type History, type Perform } from './history.ts'
import { sessions, type Answer, type Call, type Held } from './sessions.ts'

/** The checker can fail: on histories made by hand, and on a store that reads, then writes. */

type Access = { write: number } | 'read'

/** A register that holds a number; a write is answered with what it wrote. */
const register: Specification<number, Access, number> = {
  initial: 0,
  key: String,
  step: (value, access, answer) => access === 'read'
    ? answer === undefined || answer === value ? value : undefined
    : access.write
}

/** `from` and `to` are times; without an answer nobody knows. */
const op = (call: Access, from: number, to: number, answer?: number): Operation<Access, number> =>
  ({ call, calledAt: from, answeredAt: to, answer })

t.test('histories of a register', async t => {
  t.same(linearize([], register), [])
  t.same(linearize([op({ write: 1 }, 0, 1, 1), op('read', 2, 3, 1)], register), [0, 1])
  t.equal(linearize([op({ write: 1 }, 0, 1, 1), op('read', 2, 3, 0)], register), undefined, 'the past can\'t be read')
  t.same(linearize([op({ write: 1 }, 0, 5, 1), op('read', 1, 2, 0), op('read', 3, 4, 1)], register), [1, 0, 2], 'within a write, before and after')
  t.equal(linearize([op({ write: 1 }, 0, 5, 1), op('read', 1, 2, 1), op('read', 3, 4, 0)], register), undefined, 'but not back again')
  t.throws(() => linearize(Array(32).fill(op('read', 0, 1, 0)), register), RangeError)
})

t.test('an answer that is unknown: in time, or never', async t => {
  const lost = op({ write: 1 }, 0, 2)
  t.same(linearize([lost, op('read', 3, 4, 0)], register), [1], 'never')
  t.same(linearize([lost, op('read', 3, 4, 1)], register), [0, 1], 'in time')
  t.same(linearize([lost, op('read', 1, 2, 0), op('read', 1, 2, 1)], register), [1, 0, 2])
  t.equal(linearize([lost, op('read', 3, 4, 0), op('read', 5, 6, 1)], register), undefined, 'not later')
})

let redis: PrivateRedis
let service: Service
let users = 0
t.before(async () => {
  redis = await startRedis(t, ['--appendonly', 'no'])
  service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
})

/** The store of one replica in this process, but for how it refreshes. */
function withRefresh (userId: number, refresh: (token: Held) => Promise<Answer>): Perform {
  const store = service.public.sessions
  return async (call: Call) => {
    switch (call.type) {
      case 'open': {
        const { generation } = await store.open({ userId, deviceId: call.device, label: call.label, email: 'e', role: 'r' })
        const bytes = service.public.tokens.signRefresh(generation)
        return { answer: { type: 'tokens', token: { bytes, sid: generation.sid, gen: 1, device: call.device } } }
      }
      case 'refresh': return { answer: await refresh(call.token) }
      case 'revoke': {
        await store.revoke(userId, call.sid)
        return { answer: { type: 'done' } }
      }
      case 'revokeAll': {
        await store.revokeAll(userId)
        return { answer: { type: 'done' } }
      }
      case 'list': {
        const listed = await store.list(userId)
        return { answer: { type: 'listed', sessions: listed.map(({ label, gen }) => `${label} ${gen}`).sort() } }
      }
    }
  }
}

/** Every token of a history works once: without a window, by the script. */
const atomic = (): Perform => withRefresh(++users, async ({ bytes, device }) => {
  const response = await service.refresh(bytes, device)
  if (response.statusCode === 400) return { type: 'refused' }
  const { refreshToken } = response.json()
  const { sid, gen } = claimsOf(refreshToken)
  return { type: 'tokens', token: { bytes: refreshToken, sid, gen, device } }
})

/** What many a tutorial does: reads the session, decides, and writes it. */
function readThenWrite (between: () => Promise<unknown>): Perform {
  const userId = ++users
  const key = userKey(service.config.REDIS_PREFIX, userId)
  return withRefresh(userId, async ({ sid, gen, device }) => {
    const field = `s:${sid}`
    const [current, ...rest] = (await redis.client.hget(key, field) ?? '').split(':')
    if (current === '') return { type: 'refused' }
    if (gen < Number(current)) {
      await service.public.sessions.revoke(userId, sid)
      return { type: 'refused' }
    }
    await between()
    await redis.client.hset(key, field, [gen + 1, ...rest].join(':'))
    const iat = Number(rest[1])
    const bytes = service.public.tokens.signRefresh({ id: userId, sid, gen: gen + 1, iat, exp: iat + 1000 })
    return { type: 'tokens', token: { bytes, sid, gen: gen + 1, device } }
  })
}

t.test('a log-out between the reading and the writing of a refresh', async t => {
  const history: History = []
  const held: Held[] = []
  let sid = ''
  const perform = readThenWrite(async () => await recordCall(history, perform, { type: 'revoke', sid }))
  await recordCall(history, perform, { type: 'open', device: 'phone', label: 'op0' }, held)
  sid = held[0]!.sid
  await recordCall(history, perform, { type: 'refresh', token: held[0]! }, held)
  t.ok(linearize(history, sessions(0)), 'that far, the refresh may have been first')
  await recordCall(history, perform, { type: 'list' })
  t.equal(linearize(history, sessions(0)), undefined, 'but the session that was ended lives')
})

t.test('two refreshes with one token', async t => {
  const history: History = []
  const held: Held[] = []
  let isNested = false
  const perform = readThenWrite(async () => {
    if (!isNested) {
      isNested = true
      await recordCall(history, perform, { type: 'refresh', token: held[0]! })
    }
  })
  await recordCall(history, perform, { type: 'open', device: 'phone', label: 'op0' }, held)
  await recordCall(history, perform, { type: 'refresh', token: held[0]! })
  t.equal(linearize(history, sessions(0)), undefined)
})

t.test('by chance', async t => {
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
  t.ok(caught.broken > 0, `${caught.broken} of ${histories} histories of the broken one are caught`)
  t.equal(caught.script, 0, 'and none of the script')
})
