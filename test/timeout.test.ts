import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { withTimeout } from '#src/timeout'

const LONG = 5000
const never = new Promise<never>(() => {})
const fail = (): never => { throw new Error('too late') }
const timers = (): number => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length

t.test('settles as the promise does, and leaves no timer', async t => {
  const before = timers()
  t.equal(await withTimeout(Promise.resolve('in time'), LONG, fail), 'in time')
  await t.rejects(withTimeout(Promise.reject(new Error('broken')), LONG, fail), { message: 'broken' })
  t.equal(timers(), before)
})

t.test('settles as onTimeout does once the time is over', async t => {
  t.equal(await withTimeout(never, 1, () => 'late'), 'late')
  await t.rejects(withTimeout(never, 1, fail), { message: 'too late' })
})

t.test('an answer that came in time counts, although the process was too busy to read it', async t => {
  const { stdin, stdout } = spawn('cat', { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => stdin.end())
  const ask = async (): Promise<string> => {
    const answer = once(stdout, 'data')
    stdin.write('hello')
    return String(await answer)
  }
  await ask()
  const answer = withTimeout(ask(), 100, fail)
  // Blocks this process past the time-out.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2000)
  t.equal(await answer, 'hello')
})

t.test('ignores an error that the promise has after the time', async t => {
  let reject = (_: Error): void => {}
  const promise = new Promise<string>((_resolve, _reject) => { reject = _reject })
  t.equal(await withTimeout(promise, 1, () => 'late'), 'late')
  reject(new Error('nobody reads this'))
  await new Promise(resolve => setImmediate(resolve))
})
