import t from 'tap'
import { createExclusive } from '../../packages/client/src/exclusive.ts'
import { createWorld, passTime, useLocks } from './helper.ts'

/** One action at a time; test/system/client-tabs.test.ts has the Web Locks of a real browser. */

t.test('without Web Locks, actions of this tab run one after another, failed ones too', async t => {
  const exclusively = createExclusive('name')
  const order: string[] = []
  const action = (name: string) => async () => {
    order.push(`${name} begins`)
    await new Promise(resolve => { setImmediate(resolve) })
    order.push(`${name} ends`)
    if (name === 'a') throw new Error(name)
    return name
  }
  const outcomes = await Promise.allSettled([exclusively(action('a')), exclusively(action('b'))])
  t.match(outcomes, [{ reason: { message: 'a' } }, { value: 'b' }])
  t.same(order, ['a begins', 'a ends', 'b begins', 'b ends'])
})

t.test('with Web Locks an action runs in the lock, and its result and error are passed on', async t => {
  const names: string[] = []
  useLocks(t, async (name, _options, action) => {
    names.push(name)
    return await action()
  })
  const exclusively = createExclusive('name')
  t.equal(await exclusively(async () => 1), 1)
  let runs = 0
  await t.rejects(exclusively(async () => { runs++; throw new Error('of the action') }), { message: 'of the action' })
  t.equal(runs, 1)
  t.same(names, ['name', 'name'])
})

t.test('an action waits five seconds for a lock that a frozen tab holds, and then runs without it', async t => {
  useLocks(t, async (_name, { signal }) => await new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => { reject(signal.reason) })
  }))
  const { result, passed } = await passTime(createWorld(), async () => await createExclusive('name')(async () => 'done'))
  t.same([result, passed], ['done', 5000])
})

t.test('a page that may not use locks runs the action without', async t => {
  useLocks(t, async () => { throw new DOMException('opaque origin', 'SecurityError') })
  t.equal(await createExclusive('name')(async () => 'done'), 'done')
})
