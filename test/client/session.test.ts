import t from 'tap'
import { memoryStorage } from '../../packages/client/src/index.ts'
import { API, codeOf, createWorld, json, logIn, refused, TTL } from './helper.ts'

/** `fetch` and `getAccessToken`: the access token in each request, one refresh for all calls, and the server's clock. */

t.test('fetch adds the access token to the caller\'s headers', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  t.same(await (await session.fetch(API, { headers: { 'X-Custom': 'yes' } })).json(), { ok: true })
  await session.fetch(new Request(API, { headers: { 'X-Custom': 'yes' } }))
  await session.fetch(new URL(API))
  t.same(world.called.map(({ headers }) => headers.get('X-Custom')), ['yes', 'yes', null])
  t.equal(world.sent.length, 0)
})

t.test('a hundred calls that get a 401 share one refresh, and each is repeated once', async t => {
  const world = createWorld()
  const { session, stored } = await logIn(world)
  const before = await stored()
  world.expire()
  const responses = await Promise.all(Array.from({ length: 100 }, async () => await session.fetch(API)))
  t.same([...new Set(responses.map(({ status }) => status))], [200])
  t.equal(world.sent.length, 1)
  t.equal(world.called.length, 200)
  t.match(world.sent[0], { url: 'https://auth.example/api/ps/refresh', init: { method: 'POST', redirect: 'error' }, body: { deviceId: 'Unique key', refreshToken: before!.refreshToken } })
  t.equal(world.sent[0]!.headers.get('Content-Type'), 'application/json')
  t.not((await stored())!.refreshToken, before!.refreshToken)
})

t.test('a request with a body is repeated with its body', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  for (const send of [
    async () => await session.fetch(API, { method: 'POST', body: '{"a":1}' }),
    async () => await session.fetch(new Request(API, { method: 'POST', body: '{"a":1}' }))
  ]) {
    world.expire()
    world.called.length = 0
    t.equal((await send()).status, 200)
    t.same(world.called.map(({ body }) => body), [{ a: 1 }, { a: 1 }])
  }
})

t.test('a 401 of a request that cannot be repeated, or that was repeated, is the caller\'s', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  world.expire()
  const body = new Response('x').body
  t.equal((await session.fetch(API, { method: 'POST', body, duplex: 'half' } as RequestInit)).status, 401)
  t.equal(world.sent.length, 0)

  world.answers.push(() => {
    const tokens = world.tokens()
    world.expire()
    return json(tokens)
  })
  t.equal((await session.fetch(API)).status, 401)
  t.equal(world.sent.length, 1)
})

t.test('without a session every call rejects with logged-out and sends nothing', async t => {
  const world = createWorld()
  for (const text of [null, 'no JSON', '{}', '{"id":2,"token":"x"}']) {
    const storage = memoryStorage()
    if (text !== null) await storage.set(text)
    const { session } = await logIn(world, { storage })
    t.equal(await codeOf(session.fetch(API)), 'logged-out')
    t.equal(await codeOf(session.getAccessToken()), 'logged-out')
    t.equal(await codeOf(session.getAccessToken('refused')), 'logged-out')
    t.equal(await session.getProfile(), null)
    t.equal(await storage.get(), text, 'nothing is removed')
  }
  t.equal(world.called.length + world.sent.length, 0)
})

t.test('a call is not repeated for another user who has logged in meanwhile', async t => {
  const world = createWorld()
  const { session, storage } = await logIn(world)
  world.expire()
  world.answers.push(async () => {
    await storage.set(JSON.stringify(world.tokens({ id: 'user_2', refreshToken: 'other' })))
    return json(world.tokens())
  })
  t.equal(await codeOf(session.fetch(API)), 'logged-out')
  t.equal((await session.getProfile())!.id, 'user_2')
  t.equal(world.called.length, 1)
})

t.test('getAccessToken replaces a refused token, unless it has been replaced already', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  const first = await session.getAccessToken()
  const second = await session.getAccessToken(first)
  t.not(second, first)
  t.equal(await session.getAccessToken(first), second)
  t.equal(world.sent.length, 1)
  world.now += TTL * 1000
  t.not(await session.getAccessToken(first), second, 'nor returns one that has expired meanwhile')
  t.equal(world.sent.length, 2)
})

t.test('a token is replaced half a minute before its end by the server\'s clock, whatever this device\'s clock shows', async t => {
  for (const skew of [0, -86_400_000, 7_200_000]) {
    const world = createWorld()
    const { session } = await logIn(world, { now: () => world.now + skew })
    const first = await session.getAccessToken()
    world.now += TTL * 1000 - 31_000
    t.equal(await session.getAccessToken(), first)
    world.now += 2000
    t.not(await session.getAccessToken(), first)
    t.equal(world.sent.length, 1)
    await session.getAccessToken()
    t.equal(world.sent.length, 1)
  }
})

t.test('a token that is still valid is used while the service gives no clear answer, and no call waits for it', async t => {
  const world = createWorld()
  const { session } = await logIn(world, { retryFor: 60_000 })
  const first = await session.getAccessToken()
  world.now += TTL * 1000 - 10_000
  world.answers.push(() => json({}, 503))
  t.equal(await session.getAccessToken(), first)
  t.equal(await session.getAccessToken(), first)
  t.equal(world.sent.length, 1)
})

t.test('a token that is still valid is not used once the service has ended the session', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  world.now += TTL * 1000 - 10_000
  world.answers.push(refused)
  t.equal(await codeOf(session.getAccessToken()), 'logged-out')
})

t.test('a token of another form is used until an API refuses it', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  await session.logIn(world.tokens({ token: 'opaque' }))
  world.now += 10 * TTL * 1000
  t.equal(await session.getAccessToken(), 'opaque')
})

t.test('a session stored without the time of its receipt trusts this device\'s clock', async t => {
  const world = createWorld()
  const { session, storage } = await logIn(world)
  await storage.set(JSON.stringify(world.tokens()))
  await session.getAccessToken()
  t.equal(world.sent.length, 0)
  world.now += TTL * 1000
  await session.getAccessToken()
  t.equal(world.sent.length, 1)
})
