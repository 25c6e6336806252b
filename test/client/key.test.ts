import t from 'tap'
import { memoryStorage, type TokenStorage } from '../../packages/client/src/index.ts'
import { API, codeOf, createWorld, internalError, json, logIn, passTime, type World } from './helper.ts'

/** The Idempotency-Key: stored before it is sent, sent again with its token, gone with it. */

t.test('a key has 128 random bits, is stored before it is sent, and goes with its token', async t => {
  const world = createWorld()
  const { session, stored } = await logIn(world)
  t.notOk('key' in (await stored())!, 'a session at rest has no key')
  const keys: string[] = []
  for (let i = 0; i < 2; i++) {
    world.expire()
    world.answers.push(async ({ headers }) => {
      keys.push(headers.get('Idempotency-Key')!)
      t.equal((await stored())!.key, keys.at(-1))
      world.gen++
      return json(world.tokens())
    })
    await session.fetch(API)
    t.notOk('key' in (await stored())!)
  }
  for (const key of keys) t.match(key, /^[\da-f]{32}$/)
  t.not(keys[0], keys[1])
})

t.test('nothing is sent when the key cannot be stored', async t => {
  const world = createWorld()
  const full = new Error('storage is full')
  const storage = { ...memoryStorage() }
  const { session } = await logIn(world, { storage })
  await session.logIn(world.tokens())
  world.expire()
  storage.set = () => { throw full }
  t.equal(await codeOf(session.fetch(API)), full)
  t.equal(world.sent.length, 0)
})

t.test('an app that was killed during a refresh repeats token and key, however much later', async t => {
  const world = createWorld()
  const { session, storage } = await logIn(world)
  world.expire()
  world.answers.push(internalError)
  await codeOf(session.fetch(API))

  world.now += 86_400_000
  const { session: reopened } = await logIn(world, { storage })
  t.equal((await reopened.fetch(API)).status, 200)
  const [first, second] = world.sent
  t.same(second!.body, first!.body)
  t.equal(second!.headers.get('Idempotency-Key'), first!.headers.get('Idempotency-Key'))
})

t.test('works with a storage that takes its time, as on phones', async t => {
  const world = createWorld()
  const text = memoryStorage()
  const later = async (): Promise<void> => { await new Promise(resolve => { setImmediate(resolve) }) }
  const storage: TokenStorage = {
    get: async () => { await later(); return await text.get() },
    set: async value => { await later(); await text.set(value) },
    remove: async () => { await later(); await text.remove() }
  }
  const { session } = await logIn(world, { storage })
  await session.logIn(world.tokens())
  world.expire()
  const statuses = await Promise.all(Array.from({ length: 10 }, async () => (await session.fetch(API)).status))
  t.same([...new Set(statuses)], [200])
  t.equal(world.sent.length, 1)
  await session.logOut()
  t.equal(await session.getProfile(), null)
})

/** A storage whose tabs see each other's writes a while later, as in a browser with a process for each tab. */
function lateStorage (): () => TokenStorage {
  const copies: Array<{ value: string | null }> = []
  return () => {
    const own: { value: string | null } = { value: copies[0]?.value ?? null }
    copies.push(own)
    const write = (value: string | null): void => {
      own.value = value
      setImmediate(() => { for (const copy of copies) copy.value = value })
    }
    return { get: () => own.value, set: write, remove: () => { write(null) }, subscribe: () => () => {} }
  }
}

t.test('without locks, tabs that refresh at the same moment all send one key', async t => {
  const world = createWorld()
  const open = lateStorage()
  const first = await logIn(world, { storage: open() })
  await first.session.logIn(world.tokens())
  const second = await logIn(world, { storage: open() })
  world.expire()
  world.answers.push(internalError, internalError)
  const refresh = async ({ session }: typeof first): Promise<unknown> => await codeOf(session.fetch(API))
  const { result } = await passTime(world, async () => await Promise.all([refresh(first), refresh(second)]))
  t.same(result, ['unavailable', 'unavailable'])
  t.equal(world.sent.length, 2)
  t.equal(keysOf(world).size, 1)
  t.equal((await second.stored())!.key, [...keysOf(world)][0])
})

t.test('a tab that sees the tokens of another tab late uses them, and does not put the used token back', async t => {
  const world = createWorld()
  const storage: TokenStorage = { ...memoryStorage(), subscribe: () => () => {} }
  const { session } = await logIn(world, { storage })
  await session.logIn(world.tokens())
  world.expire()
  const stale = await storage.get()
  const newer = world.tokens({ refreshToken: 'newer' })
  const visibleAt = world.now + 50
  storage.get = () => world.now < visibleAt ? stale : JSON.stringify(newer)
  storage.set = () => { t.fail('nothing is written') }
  const { result } = await passTime(world, async () => (await session.fetch(API)).status)
  t.equal(result, 200)
  t.equal(world.sent.length, 0)
})

t.test('a tab that sees the key of another tab late sends it', async t => {
  const world = createWorld()
  const text = memoryStorage()
  const storage: TokenStorage = { ...text, subscribe: () => () => {} }
  const { session, stored } = await logIn(world, { storage })
  await session.logIn(world.tokens())
  world.expire()
  const before = await stored()
  const visibleAt = world.now + 50
  storage.get = async () => world.now < visibleAt ? JSON.stringify(before) : await text.get()
  await text.set(JSON.stringify({ ...before, key: 'of another tab' }))
  world.answers.push(internalError)
  await passTime(world, async () => await codeOf(session.fetch(API)))
  t.same([...keysOf(world)], ['of another tab'])
})

t.test('without locks, a tab whose session was replaced or ended while it chose a key sends nothing', async t => {
  for (const [change, code] of [['replaced', undefined], ['ended', 'logged-out']]) {
    const world = createWorld()
    const storage: TokenStorage = { ...memoryStorage(), subscribe: () => () => {} }
    const { session } = await logIn(world, { storage })
    await session.logIn(world.tokens())
    world.expire()
    const { set } = storage
    storage.set = async value => {
      storage.set = set
      await set(value)
      if (change === 'replaced') await set(JSON.stringify(world.tokens({ refreshToken: 'newer' })))
      else await storage.remove()
    }
    const { result } = await passTime(world, async () => await codeOf(session.fetch(API)))
    t.equal(result, code)
    t.equal(world.sent.length, 0)
  }
})

function keysOf (world: World): Set<string | null> {
  return new Set(world.sent.map(({ headers }) => headers.get('Idempotency-Key')))
}
