import t, { type Test } from 'tap'
import { memoryStorage, type StoredSession, type TokenStorage } from '../../packages/client/src/index.ts'
import { API, codeOf, createWorld, internalError, json, logIn, passTime, useLocks, type World } from './helper.ts'

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

t.test('without locks the key is stored with the tokens, and tabs that refresh at the same moment all send it', async t => {
  const world = createWorld()
  const open = lateStorage()
  const first = await logIn(world, { storage: open() })
  await first.session.logIn(world.tokens())
  const { key } = (await first.stored())!
  t.match(key, /^[\da-f]{32}$/)
  const second = await logIn(world, { storage: open() })
  world.expire()
  world.answers.push(internalError, internalError)
  t.same(await Promise.all([first, second].map(async ({ session }) => await codeOf(session.fetch(API)))), ['unavailable', 'unavailable'])
  t.same(world.sent.map(({ headers }) => headers.get('Idempotency-Key')), [key, key])

  world.now += 60_000
  t.equal((await second.session.fetch(API)).status, 200)
  t.match((await second.stored())!.key, /^[\da-f]{32}$/)
  t.not((await second.stored())!.key, key, 'the next token has another key')
})

/** A tab with locks, logged in; after 50 ms it sees what another tab has stored. */
async function lateTab (
  t: Test, change: (before: StoredSession, world: World) => StoredSession | null
): Promise<{ world: World, outcome: unknown, written: string[] }> {
  useLocks(t, async (_name, _options, action) => await action())
  const world = createWorld()
  const written: string[] = []
  const storage: TokenStorage = { ...memoryStorage(), subscribe: () => () => {} }
  const { session, stored } = await logIn(world, { storage })
  await session.logIn(world.tokens())
  t.notOk('key' in (await stored())!)
  world.expire()
  const before = (await stored())!
  const after = change(before, world)
  const visibleAt = world.now + 50
  storage.get = () => JSON.stringify(world.now < visibleAt ? before : after)
  storage.set = value => { written.push(value) }
  world.answers.push(internalError)
  const { result } = await passTime(world, async () => await session.fetch(API).then(({ status }) => status, err => err.code))
  return { world, outcome: result, written }
}

t.test('a tab that sees the tokens of another tab late uses them, and does not put the used token back', async t => {
  const { world, outcome, written } = await lateTab(t, (_before, world) => world.tokens({ refreshToken: 'newer' }))
  t.equal(outcome, 200)
  t.equal(world.sent.length, 0)
  t.same(written, [])
})

t.test('a tab that sees the log-out of another tab late sends nothing', async t => {
  const { world, outcome, written } = await lateTab(t, () => null)
  t.equal(outcome, 'logged-out')
  t.equal(world.sent.length, 0)
  t.same(written, [])
})

t.test('a tab that sees the key of another tab late sends it', async t => {
  const { world, outcome } = await lateTab(t, before => ({ ...before, key: 'of another tab' }))
  t.equal(outcome, 'unavailable')
  t.same(world.sent.map(({ headers }) => headers.get('Idempotency-Key')), ['of another tab'])
})
