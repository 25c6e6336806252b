import t, { type Test } from 'tap'
import { createSessionStore } from '#src/sessions/store'
import { guest, startRedis, type PrivateRedis } from '../support/helper.ts'
import { setClock, START_MS, turnClock } from '../support/clock.ts'

/** Redis's clock is set back or ahead between a rotation and the reuse of its token. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t, ['--appendonly', 'no']) })

let tests = 0

/** Returns the outcome of a used token after the clock was set by `seconds` from its rotation. */
async function reuseAfter (t: Test, retryWindow: number, seconds: number): Promise<string> {
  const client = redis.client.duplicate({ lazyConnect: false })
  t.teardown(() => client.disconnect())
  const prefix = `clock${++tests}:`
  turnClock(client, `${prefix}clock`)
  const turn = async (ms: number): Promise<void> => await setClock(client, `${prefix}clock`, ms, `${prefix}1`)
  const rules = { idleTtl: 100_000, absoluteTtl: 100_000, retryWindow, maxSessionsPerUser: 5 }
  const store = createSessionStore(client, { prefix, ...rules })

  await turn(START_MS)
  const { generation } = await store.open(guest)
  await store.rotate(generation, guest.deviceId)
  await turn(START_MS + seconds * 1000)
  return (await store.rotate(generation, guest.deviceId)).outcome
}

t.test('with a window of zero a used token is reuse at any time', async t => {
  for (const seconds of [-20, -1, 0, 1, 20]) t.equal(await reuseAfter(t, 0, seconds), 'reused', `set by ${seconds} s`)
})

t.test('accepts a retry within the window before or after the time of the rotation', async t => {
  for (const seconds of [-29, -1, 0, 29]) t.equal(await reuseAfter(t, 30, seconds), 'retried', `set by ${seconds} s`)
  for (const seconds of [-3600, -30, 30, 3600]) t.equal(await reuseAfter(t, 30, seconds), 'reused', `set by ${seconds} s`)
})
