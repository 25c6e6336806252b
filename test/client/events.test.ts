import { EventEmitter, once } from 'node:events'
import t from 'tap'
import { memoryStorage, webStorage, type SessionEvent, type TokenStorage } from '../../packages/client/src/index.ts'
import { API, codeOf, createWorld, logIn, refused } from './helper.ts'

/** `subscribe`: changes by this tab and by others. */

/** Two tabs with one storage, which tells each of them what the other wrote. */
function openTabs (): [TokenStorage, TokenStorage] {
  const text = memoryStorage()
  const changes = new EventEmitter()
  const tab = (own: string, other: string): TokenStorage => ({
    get: () => text.get(),
    set: async value => { await text.set(value); changes.emit(other) },
    remove: async () => { await text.remove(); changes.emit(other) },
    subscribe (listener) {
      changes.on(own, listener)
      return () => { changes.off(own, listener) }
    }
  })
  return [tab('one', 'two'), tab('two', 'one')]
}

/** Waits until every promise that is under way has settled, and every listener has been called. */
const settled = async (): Promise<void> => { for (let i = 0; i < 5; i++) await new Promise(resolve => { setImmediate(resolve) }) }

t.test('both tabs hear of log-ins, refreshes and log-outs, once each', async t => {
  const world = createWorld()
  const [storage, other] = openTabs()
  const heard: SessionEvent[][] = [[], []]
  const sessions = await Promise.all([storage, other].map(async storage => (await logIn(world, { storage })).session))
  const ends = sessions.map((session, i) => session.subscribe(event => { heard[i]!.push(event) }))
  await settled()
  t.same(heard, [[], []], 'no event without a change')

  const expectBoth = async (...events: SessionEvent[]): Promise<void> => {
    await settled()
    t.same(heard, [events, events])
    for (const list of heard) list.length = 0
  }
  const profile = { id: 1, email: 'guest@keygenqt.com', role: 'GUEST' }
  await sessions[0]!.logIn(world.tokens())
  await expectBoth({ type: 'logged-in', profile })
  world.expire()
  await sessions[1]!.fetch(API)
  await expectBoth({ type: 'refreshed', profile })
  await sessions[0]!.logIn(world.tokens({ id: 2, role: 'ADMIN', refreshToken: 'of another user' }))
  await expectBoth({ type: 'logged-in', profile: { ...profile, id: 2, role: 'ADMIN' } })
  await sessions[0]!.logIn(world.tokens({ id: 2, role: 'ADMIN', refreshToken: 'e30.eyJzaWQiOiJvdGhlciJ9.' }))
  await expectBoth({ type: 'logged-in', profile: { ...profile, id: 2, role: 'ADMIN' } })
  await sessions[1]!.logOut()
  await expectBoth({ type: 'logged-out', profile: null })

  await sessions[0]!.logIn(world.tokens())
  await expectBoth({ type: 'logged-in', profile })
  world.expire()
  world.answers.push(refused)
  t.equal(await codeOf(sessions[1]!.fetch(API)), 'logged-out')
  await expectBoth({ type: 'logged-out', profile: null })

  for (const end of ends) end()
  await sessions[0]!.logIn(world.tokens())
  await expectBoth()
})

t.test('an error of a listener reaches neither the caller nor other listeners', async t => {
  const world = createWorld()
  const { session } = await logIn(world)
  let heard = 0
  session.subscribe(() => { throw new Error('of a listener') })
  session.subscribe(() => { heard++ })
  const thrown: unknown[] = []
  const { queueMicrotask } = globalThis
  globalThis.queueMicrotask = call => { queueMicrotask(() => { try { call() } catch (err) { thrown.push(err) } }) }
  t.teardown(() => { globalThis.queueMicrotask = queueMicrotask })
  world.expire()
  t.equal((await session.fetch(API)).status, 200)
  await settled()
  t.equal(heard, 1)
  t.match(thrown, [{ message: 'of a listener' }], 'the platform reports it')
})

t.test('a slow reading that began before a writing is no change', async t => {
  const world = createWorld()
  const text = memoryStorage()
  const gate = new EventEmitter()
  const heard: string[] = []
  const storage: TokenStorage = { ...text, get: async () => await text.get() }
  const { session } = await logIn(world, { storage })
  await session.logIn(world.tokens())
  session.subscribe(({ type }) => { heard.push(type) })
  await settled()

  storage.get = async () => {
    const value = await text.get()
    storage.get = async () => await text.get()
    await once(gate, 'open')
    return value
  }
  const slow = session.getProfile()
  world.gen++
  await session.logIn(world.tokens())
  gate.emit('open')
  await slow
  await settled()
  t.same(heard, ['refreshed'])
})

t.test('a storage that fails at the start of a subscription does no harm', async t => {
  const world = createWorld()
  const { session } = await logIn(world, { storage: { ...memoryStorage(), get: async () => { throw new Error('locked') } } })
  session.subscribe(() => {})()
  await settled()
  t.match(await codeOf(session.getProfile()), { message: 'locked' })
})

t.test('webStorage keeps the session at one key, and reports the changes of other tabs at this key', async t => {
  const page = new EventTarget()
  Object.assign(globalThis, {
    addEventListener: page.addEventListener.bind(page), removeEventListener: page.removeEventListener.bind(page)
  })
  t.teardown(() => { Object.assign(globalThis, { addEventListener: undefined, removeEventListener: undefined }) })
  const items = new Map<string, string>()
  const area = {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => { items.set(key, value) },
    removeItem: (key: string) => { items.delete(key) }
  }
  const storage = webStorage('tokens', area)
  t.equal(await storage.get(), null)
  await storage.set('x')
  t.same([...items], [['tokens', 'x']])
  t.equal(await storage.get(), 'x')
  await storage.remove()
  t.equal(items.size, 0)

  const heard: unknown[] = []
  const tell = (key: string | null, storageArea: unknown): void => {
    page.dispatchEvent(Object.assign(new Event('storage'), { key, storageArea }))
  }
  const end = storage.subscribe!(() => { heard.push(null) })
  tell('tokens', area)
  tell(null, area)
  t.equal(heard.length, 2)
  tell('others', area)
  tell('tokens', {})
  t.equal(heard.length, 2)
  end()
  tell('tokens', area)
  t.equal(heard.length, 2)

  Object.assign(globalThis, { localStorage: area })
  t.teardown(() => { delete (globalThis as { localStorage?: unknown }).localStorage })
  await webStorage().set('y')
  t.same([...items], [['session', 'y']], 'by default the key `session` of localStorage')
})
