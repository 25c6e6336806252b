import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { createSessionStore } from '#src/sessions/store'
import type { Generation } from '#src/tokens/claims'
import { guest, type PrivateRedis } from '../../support/helper.ts'
import { START_MS, turnClock } from '../../support/clock.ts'
import { createRandom, type Random } from '../../support/random.ts'

/** Clients of one store, which refresh every quarter of an hour and lose some answers. Time is the test's: a day passes in seconds. */

/** Share of the answers that do not arrive. */
const LOSS = 0.05

/** Refreshes of each client, not counting repeats. */
const REFRESHES = 5

/** Seconds between two refreshes. */
const INTERVAL = 900

/** Maximum seconds until a client repeats a request whose answer was lost. */
const DAY = 86_400

/** Requests at the same time: few enough for a slow machine to answer each within the time of a call. */
const CHUNK = 50

interface Client { token: Generation, key: string | undefined, left: number }

export interface Totals { refreshes: number, lost: number, retried: number, loggedOut: number }

/** From a second to a day; as many delays are below five minutes as above. */
const delay = (random: Random): number => Math.ceil(DAY ** random())

/** The store never gives up on a request: Redis's clock stands still while the requests of a second run. */
const patientClock = { observe () {}, reset () {}, deadline: () => Number.MAX_SAFE_INTEGER }

/** Lets the clients live until each has made its refreshes or is logged out. With `sendsKeys`, they send an Idempotency-Key. */
export async function simulate (
  t: Test, redis: PrivateRedis, { clients, seed, sendsKeys }: { clients: number, seed: number, sendsKeys: boolean }
): Promise<Totals> {
  const prefix = `rt:${randomUUID()}:`
  const clock = `${prefix}meta:clock`
  const connection = redis.client.duplicate({ lazyConnect: false })
  t.teardown(() => { connection.disconnect() })
  turnClock(connection, clock)
  const rules = { idleTtl: 30 * DAY, absoluteTtl: 365 * DAY, retryWindow: 30, maxSessionsPerUser: 50 }
  const store = createSessionStore(connection, { prefix, ...rules }, () => patientClock)
  const random = createRandom(seed)
  const totals: Totals = { refreshes: 0, lost: 0, retried: 0, loggedOut: 0 }
  const newKey = (): string | undefined => sendsKeys ? randomUUID() : undefined

  /** The clients that send a request in each second. */
  const due = new Map<number, Client[]>()
  const plan = (client: Client, second: number): void => {
    const others = due.get(second)
    if (others === undefined) due.set(second, [client])
    else others.push(client)
  }

  async function refresh (client: Client, now: number): Promise<void> {
    totals.refreshes++
    const rotation = await store.rotate(client.token, guest.deviceId, { idempotencyKey: client.key })
    if (rotation.outcome === 'retried') totals.retried++
    if (!('session' in rotation)) {
      totals.loggedOut++
    } else if (random() < LOSS) {
      totals.lost++
      plan(client, now + delay(random))
    } else if (--client.left > 0) {
      client.token = rotation.session.generation
      client.key = newKey()
      plan(client, (Math.floor(now / INTERVAL) + 1) * INTERVAL)
    }
  }

  async function together<Item> (items: Item[], work: (item: Item) => Promise<void>): Promise<void> {
    for (let i = 0; i < items.length; i += CHUNK) await Promise.all(items.slice(i, i + CHUNK).map(work))
  }

  await connection.set(clock, START_MS)
  await together(Array.from({ length: clients }, (_, i) => i + 1), async userId => {
    const { generation } = await store.open({ ...guest, userId })
    plan({ token: generation, key: newKey(), left: REFRESHES }, INTERVAL)
  })
  while (due.size > 0) {
    const now = Math.min(...due.keys())
    const asking = due.get(now)!
    due.delete(now)
    await connection.set(clock, START_MS + now * 1000)
    await together(asking, async client => { await refresh(client, now) })
  }
  return totals
}
