import t from 'tap'
import { memoryStorage } from '../../packages/client/src/index.ts'
import { API, codeOf, createWorld, internalError, json, logIn, passTime, refused } from './helper.ts'

/** `logOut`: the tokens go at once, and a session that the service may still have is reported. */

t.test('logOut deletes the tokens before it tells the service, and repeats until the service confirms', async t => {
  const world = createWorld()
  const { session, stored } = await logIn(world, { retryFor: 20_000 })
  const { refreshToken } = (await stored())!
  const seen: unknown[] = []
  const note = async (response: Response): Promise<Response> => {
    seen.push(await stored())
    return response
  }
  world.answers.push(
    async () => await note(internalError()),
    async () => await note(json({}, 429, { 'Retry-After': '3' })),
    async () => await note(new Response(null, { status: 204 }))
  )
  const { passed } = await passTime(world, async () => { await session.logOut() })
  t.same(seen, [null, null, null])
  t.ok(passed >= 3500)
  for (const request of world.sent) {
    t.match(request, { url: 'https://auth.example/api/ps/logout', init: { method: 'POST', keepalive: true, redirect: 'error' }, body: { deviceId: 'Unique key', refreshToken } })
  }
  t.equal(await codeOf(session.fetch(API)), 'logged-out')
  t.equal(world.called.length, 0)

  await session.logOut()
  t.equal(world.sent.length, 3, 'nobody is logged in: nothing is sent')
})

t.test('without a confirmation the tokens are gone all the same, and logOut rejects', async t => {
  const answers = {
    'no answer': () => { throw new TypeError('fetch failed') },
    'a portal\'s 200': () => new Response('<html>'),
    'a 502': () => new Response('', { status: 502 }),
    'the documented 400': refused
  }
  for (const [name, answer] of Object.entries(answers)) {
    const world = createWorld()
    const { session, stored } = await logIn(world)
    world.answers.push(answer)
    t.equal(await codeOf(session.logOut()), 'unavailable', name)
    t.equal(await stored(), null)
    t.equal(world.sent.length, 1)
  }
})

t.test('the service\'s refusal is not repeated', async t => {
  const world = createWorld()
  const { session } = await logIn(world, { retryFor: 60_000 })
  world.answers.push(refused)
  const { result, passed } = await passTime(world, async () => await codeOf(session.logOut()))
  t.same([result, passed], ['unavailable', 0])
})

t.test('a log-out during a refresh waits for its answer, and ends the session of the new token', async t => {
  const world = createWorld()
  const { session, stored } = await logIn(world)
  world.expire()
  let out: Promise<void> | undefined
  world.answers.push(() => {
    out = session.logOut()
    world.gen++
    return json(world.tokens())
  })
  t.equal((await session.fetch(API)).status, 200)
  await out
  t.equal(await stored(), null)
  t.match(world.sent[1], { url: 'https://auth.example/api/ps/logout', body: { refreshToken: world.tokens().refreshToken } })
})

t.test('logOut deletes a value that is no session, and sends it nowhere', async t => {
  const world = createWorld()
  const storage = memoryStorage()
  await storage.set('{"id":1}')
  await (await logIn(world, { storage })).session.logOut()
  t.equal(await storage.get(), null)
  t.equal(world.sent.length, 0)
})

t.test('logoutUrl', async t => {
  for (const [options, url] of [
    [{ refreshUrl: 'https://auth.example/api/ps/refresh' }, 'https://auth.example/api/ps/logout'],
    [{ refreshUrl: 'https://auth.example/refresh', logoutUrl: 'https://auth.example/leave' }, 'https://auth.example/leave']
  ] as const) {
    const world = createWorld()
    const { session } = await logIn(world, options)
    world.answers.push(() => new Response(null, { status: 204 }))
    await session.logOut()
    t.equal(world.sent[0]!.url, url)
  }
})
