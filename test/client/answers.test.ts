import t from 'tap'
import { API, codeOf, createWorld, internalError, json, logIn, passTime, refused, type Answer } from './helper.ts'

/** The effect of each answer to a refresh: only the documented 400 ends the session. */

const portal = '<!doctype html><title>Welcome to the hotel</title>'
const tokens = { id: 1, email: 'guest@keygenqt.com', role: 'GUEST', token: 'a', refreshToken: 'b' }

/** Answers of proxies and captive portals, and of the service in trouble. */
const unclear: Record<string, Answer> = {
  'no answer': () => { throw new TypeError('fetch failed') },
  'an answer that breaks off': () => new Response(new ReadableStream({ start (controller) { controller.error(new Error('cut')) } })),
  'the documented 500': internalError,
  'the documented 429': () => json({ code: 429, message: 'Too Many Requests' }, 429),
  'a 400 without a body': () => new Response(null, { status: 400 }),
  'a 400 with HTML': () => new Response('<h1>400 Bad Request</h1>', { status: 400 }),
  'a 400 with text': () => new Response('Bad Request', { status: 400 }),
  'a 400 with null': () => json(null, 400),
  'a 400 with another code': () => json({ code: 413, message: 'Bad Request' }, 400),
  'a 400 with another message': () => json({ code: 400, message: 'Malformed' }, 400),
  'a 400 with more keys': () => json({ code: 400, message: 'Bad Request', trace: 'x' }, 400),
  'the documented body with another status': () => json({ code: 400, message: 'Bad Request' }, 403),
  'a 401': () => json({}, 401),
  'a 403 of a firewall': () => new Response(portal, { status: 403 }),
  'a 404': () => json({ code: 404, message: 'Not Found' }, 404),
  'a 502 with HTML': () => new Response('<h1>502 Bad Gateway</h1>', { status: 502 }),
  'a 204': () => new Response(null, { status: 204 }),
  'a captive portal\'s 200 with HTML': () => new Response(portal),
  'a captive portal\'s 200 with JSON': () => json({ success: true }),
  'a 200 with null': () => json(null),
  'a 200 for another user': () => json({ ...tokens, id: 2 }),
  'a 200 with an empty token': () => json({ ...tokens, token: '' }),
  'a 201 with tokens': () => json(tokens, 201),
  ...Object.fromEntries(Object.keys(tokens).map(key => [`a 200 without ${key}`, () => json({ ...tokens, [key]: undefined })]))
}

for (const [name, answer] of Object.entries(unclear)) {
  t.test(`${name} keeps the session, and the next call repeats the request`, async t => {
    const world = createWorld()
    const { session, stored } = await logIn(world)
    const before = await stored()
    world.expire()
    world.answers.push(answer)
    t.equal(await codeOf(session.fetch(API)), 'unavailable')
    const { key, ...kept } = (await stored())!
    t.same(kept, before)

    world.now += 60_000
    t.equal((await session.fetch(API)).status, 200)
    t.same(world.sent.map(({ headers }) => headers.get('Idempotency-Key')), [key, key])
  })
}

t.test('the documented 400 logs out', async t => {
  const world = createWorld()
  const { session, stored } = await logIn(world)
  world.expire()
  world.answers.push(refused)
  t.equal(await codeOf(session.fetch(API)), 'logged-out')
  t.equal(await stored(), null)
  t.equal(await session.getProfile(), null)
})

for (const [name, answer] of Object.entries<Answer>({ 'a 400': refused, 'a 500': internalError, 'a 200': () => json(tokens) })) {
  t.test(`after ${name}, the newer tokens of another tab are used`, async t => {
    const world = createWorld()
    const { session, storage, stored } = await logIn(world)
    world.expire()
    const newer = world.tokens({ refreshToken: 'newer' })
    world.answers.push(async request => {
      await storage.set(JSON.stringify(newer))
      return await answer(request)
    })
    t.equal((await session.fetch(API)).status, 200)
    t.same(await stored(), newer)
  })

  t.test(`after ${name}, a log-out in another tab stays`, async t => {
    const world = createWorld()
    const { session, storage, stored } = await logIn(world)
    world.expire()
    world.answers.push(async request => {
      await storage.remove()
      return await answer(request)
    })
    t.equal(await codeOf(session.fetch(API)), 'logged-out')
    t.equal(await stored(), null)
  })
}

t.test('tokens of another tab spare the request', async t => {
  const world = createWorld()
  const { session, storage } = await logIn(world)
  world.expire()
  const stale = await session.getAccessToken()
  const newer = world.tokens({ refreshToken: 'newer' })
  await storage.set(JSON.stringify(newer))
  t.equal(await session.getAccessToken(stale), newer.token)
  t.equal(world.sent.length, 0)
})

t.test('an answer that never comes, or never ends, is given up after the timeout', async t => {
  const hanging: Answer[] = [
    async ({ init }) => await new Promise((_resolve, reject) => { init.signal!.addEventListener('abort', () => { reject(init.signal!.reason) }) }),
    ({ init }) => new Response(new ReadableStream({ start (controller) { init.signal!.addEventListener('abort', () => { controller.error(init.signal!.reason) }) } }))
  ]
  for (const answer of hanging) {
    const world = createWorld()
    const { session } = await logIn(world, { timeout: 3000 })
    world.expire()
    world.answers.push(answer)
    const { result, passed } = await passTime(world, async () => await codeOf(session.fetch(API)))
    t.equal(result, 'unavailable')
    t.equal(passed, 3000)
  }
})

t.test('a call repeats the request for retryFor, with pauses that grow', async t => {
  const world = createWorld()
  const { session } = await logIn(world, { retryFor: 20_000 })
  world.expire()
  const times: number[] = []
  world.answers.push(...Array.from({ length: 20 }, () => () => {
    times.push(world.now)
    return internalError()
  }))
  const { result, passed } = await passTime(world, async () => await Promise.all([codeOf(session.fetch(API)), codeOf(session.fetch(API))]))
  t.same(result, ['unavailable', 'unavailable'])
  t.ok(passed <= 20_000)
  const pauses = times.slice(1).map((time, i) => time - times[i]!)
  t.ok(pauses.length >= 4, 'it repeats')
  const longest = (i: number): number => Math.min(1000 * 2 ** i, 5000)
  pauses.forEach((pause, i) => { t.ok(pause >= longest(i) / 2 && pause <= longest(i), `pause ${i}: ${pause}`) })

  world.answers.length = 0
  world.now += 60_000
  t.equal((await session.fetch(API)).status, 200)
  world.expire()
  const before = times.length
  world.answers.push(() => { times.push(world.now); return internalError() })
  const again = await passTime(world, async () => (await session.fetch(API)).status)
  t.equal(again.result, 200)
  t.equal(times.length, before + 1)
  t.ok(again.passed <= 1000, 'after a success the pauses start anew')
})

t.test('Retry-After is kept to, in the call and by later calls', async t => {
  const world = createWorld()
  const { session } = await logIn(world, { retryFor: 10_000 })
  world.expire()
  world.answers.push(() => json({}, 429, { 'Retry-After': '7' }))
  const first = await passTime(world, async () => (await session.fetch(API)).status)
  t.same(first, { result: 200, passed: 7000 })

  world.expire()
  world.answers.push(() => json({}, 500, { 'Retry-After': '60' }))
  const sent = world.sent.length
  const second = await passTime(world, async () => await codeOf(session.fetch(API)))
  t.same(second, { result: 'unavailable', passed: 0 }, 'a call that cannot wait so long does not wait at all')
  t.equal(await codeOf(session.fetch(API)), 'unavailable')
  t.equal(world.sent.length, sent + 1, 'nor does a later call send a request before')
  world.now += 55_000
  t.same(await passTime(world, async () => (await session.fetch(API)).status), { result: 200, passed: 5000 })
})

t.test('a Retry-After that is no number or endless does no harm, and a clock that is set back ends a pause', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  const failWith = async (after: string): Promise<void> => {
    world.expire()
    world.answers.push(() => json({}, 500, { 'Retry-After': after }))
    t.equal(await codeOf(session.fetch(API)), 'unavailable')
  }
  for (const [after, pause] of [['Wed, 21 Oct 2026 07:28:00 GMT', 1000], ['-5', 1000], ['1e9', 300_000]] as const) {
    await failWith(after)
    world.now += pause
    t.equal((await session.fetch(API)).status, 200, after)
  }
  await failWith('300')
  world.now -= 1000
  t.equal((await session.fetch(API)).status, 200)
})
