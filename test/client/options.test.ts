import t from 'tap'
import { createSession, memoryStorage, type SessionOptions } from '../../packages/client/src/index.ts'
import { API, createWorld, json, logIn, REFRESH } from './helper.ts'

/** Wrong options and tokens are refused by name, and no message has a value. */

const right: SessionOptions = { refreshUrl: REFRESH, deviceId: 'Unique key', storage: memoryStorage() }

const wrong: Record<string, unknown[]> = {
  refreshUrl: [undefined, '', new URL(REFRESH)],
  logoutUrl: [1, ' '],
  deviceId: [undefined, '', ' ', 1],
  storage: [undefined, null, {}, { get () {}, set () {} }],
  fetch: [null, 'fetch'],
  now: [1],
  timeout: [0, -1, NaN, 'long'],
  retryFor: [-1, NaN, 'long']
}

for (const [name, values] of Object.entries(wrong)) {
  t.test(name, async t => {
    for (const value of values) {
      t.throws(() => createSession({ ...right, [name]: value }), { name: 'TypeError', message: new RegExp(`^${name} must be `) })
    }
  })
}

t.test('optional options may be undefined', async t => {
  const { logoutUrl, fetch, now, timeout, retryFor } = {} as Record<string, undefined>
  t.doesNotThrow(() => createSession({ ...right, logoutUrl, fetch, now, timeout, retryFor } as unknown as SessionOptions))
})

t.test('a platform without Web Crypto is refused at once', async t => {
  const { crypto } = globalThis
  for (const value of [undefined, {}]) {
    Object.defineProperty(globalThis, 'crypto', { value, configurable: true })
    try {
      t.throws(() => createSession(right), { message: /^crypto.getRandomValues must be/ })
    } finally {
      Object.defineProperty(globalThis, 'crypto', { value: crypto, configurable: true })
    }
  }
})

t.test('the default fetch is globalThis.fetch at the time of the call', async t => {
  const original = globalThis.fetch
  const session = createSession(right)
  await session.logIn(createWorld().tokens({ token: 'opaque' }))
  globalThis.fetch = async (_input, init) => json({ sent: new Headers(init?.headers).get('Authorization') })
  t.teardown(() => { globalThis.fetch = original })
  t.same(await (await session.fetch(API)).json(), { sent: 'Bearer opaque' })
})

t.test('logIn refuses everything but the answer of a log-in, and keeps the session', async t => {
  const world = createWorld()
  const { session, stored } = await logIn(world)
  const before = await stored()
  for (const tokens of [undefined, null, {}, 'tokens', { ...world.tokens(), refreshToken: undefined }, { ...world.tokens(), id: null }]) {
    const err = await session.logIn(tokens as never).then(() => undefined, err => err)
    t.match(err, { name: 'TypeError', message: 'The tokens of a log-in have id, email, role, token and refreshToken' })
  }
  t.same(await stored(), before)
})

t.test('logIn stores the five keys and the time', async t => {
  const world = createWorld()
  const { session, stored } = await logIn(world)
  const tokens = world.tokens()
  await session.logIn({ ...tokens, more: true } as typeof tokens)
  t.same(await stored(), { ...tokens, receivedAt: world.now })
})
