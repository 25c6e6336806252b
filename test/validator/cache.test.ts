import t, { type Test } from 'tap'
import { createSessionCache, type SessionCache } from '../../packages/validator/src/cache.ts'
import type { ValidSession } from '../../packages/validator/src/session.ts'

/** The cache alone, with a clock that the test sets; events.test.ts uses it with real events. */

interface Setup {
  cache: SessionCache
  session: ValidSession
  /** Looks up a user and caches the answer under a token. */
  remember: (token: string, overrides?: Partial<ValidSession>) => void
  pass: (ms: number) => void
}

function setup (_t: Test, options: { max?: number, maxStaleness?: number } = {}): Setup {
  let clock = 1000
  const cache = createSessionCache({ max: 10, maxStaleness: 5000, ...options }, () => clock)
  const session = { id: 1, sid: 'A'.repeat(22), email: 'a@example.com', role: 'GUEST', claims: {}, expiresAt: Date.now() / 1000 + 3600 }
  cache.resume()
  return {
    cache,
    session,
    remember: (token, overrides = {}) => {
      const answer = { ...session, ...overrides }
      cache.startLookup(answer.id)(token, answer)
    },
    pass: ms => { clock += ms }
  }
}

t.test('an answer is cached under its token only', async t => {
  const { cache, remember, session } = setup(t)
  remember('one')
  t.same(cache.get('one'), session)
  t.equal(cache.get('other'), undefined)
})

t.test('it is cached for maxStaleness, counted from the start of the look-up', async t => {
  const { cache, session, pass } = setup(t)
  const store = cache.startLookup(1)
  pass(4000) // Redis is slow
  store('one', session)
  pass(999)
  t.ok(cache.get('one'))
  pass(1)
  t.equal(cache.get('one'), undefined)
})

t.test('a hit does not prolong the time', async t => {
  const { cache, remember, pass } = setup(t)
  remember('one')
  for (let i = 0; i < 4; i++) {
    pass(1249)
    t.ok(cache.get('one'))
  }
  pass(4)
  t.equal(cache.get('one'), undefined)
})

t.test('no answer is cached beyond expiresAt', async t => {
  const { cache, remember, pass } = setup(t)
  remember('one', { expiresAt: Date.now() / 1000 + 2 })
  remember('over', { expiresAt: Date.now() / 1000 - 1 })
  t.ok(cache.get('one'))
  t.equal(cache.get('over'), undefined, 'not even when it passed during the look-up')
  pass(2000)
  t.equal(cache.get('one'), undefined)
})

t.test('an event drops the answers of its user, and of no other user', async t => {
  const { cache, remember } = setup(t)
  remember('one')
  remember('two')
  remember('three', { id: 2 })
  cache.dropUser(1)
  cache.dropUser(9)
  t.same(['one', 'two', 'three'].map(token => cache.get(token)?.id), [undefined, undefined, 2])
  remember('one')
  t.ok(cache.get('one'), 'a later answer is cached')
})

t.test('an answer that is older than the event is not cached', async t => {
  for (const event of ['dropUser', 'clear'] as const) {
    const { cache, session } = setup(t)
    const stale = cache.startLookup(1)
    cache[event](1)
    const fresh = cache.startLookup(1)
    fresh('fresh', session)
    stale('stale', session)
    t.equal(cache.get('stale'), undefined, event)
    t.ok(cache.get('fresh'), event)
  }
})

t.test('nothing is cached while there is no subscription, nor across the gap', async t => {
  const { cache, session, remember } = setup(t)
  remember('before')
  const before = cache.startLookup(1)
  cache.pause()
  t.equal(cache.get('before'), undefined)
  before('at once', session)
  const during = cache.startLookup(1)
  during('during', session)
  cache.resume()
  cache.resume()
  before('before', session)
  during('during', session)
  t.same(['at once', 'before', 'during'].map(token => cache.get(token)), [undefined, undefined, undefined])
  remember('after')
  cache.resume()
  t.ok(cache.get('after'), 'a second resume drops nothing')
})

t.test('caching begins with the first resume', async t => {
  const cache = createSessionCache({ max: 1, maxStaleness: 1 })
  const { session } = setup(t)
  cache.startLookup(1)('one', session)
  t.equal(cache.get('one'), undefined)
})

t.test('at most max answers are cached; the least recently used are dropped', async t => {
  const { cache, remember, session } = setup(t, { max: 2 })
  remember('one', { id: 1 })
  remember('two', { id: 2 })
  const evicted = cache.startLookup(1)
  remember('three', { id: 3 })
  remember('four', { id: 4 })
  t.same(['one', 'two', 'three', 'four'].map(token => cache.get(token)?.id), [undefined, undefined, 3, 4])
  evicted('one', session)
  cache.dropUser(1)
  t.equal(cache.get('one'), undefined, 'no event could end a lease that was evicted')
})
