import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { userKey } from '#src/redis/records'
import { claimsOf, recordKeys } from '../../support/helper.ts'
import { startReplicas, type Replicas } from '../histories/replicas.ts'
import { createRandom, pick, type Random } from '../../support/random.ts'
import { isSoak, seeds } from '../../support/soak.ts'
import { createAsker, openClients, type Client, type Totals } from './clients.ts'

/**
 * Three replicas under full load and faults: no session is lost, and no token has two successors. The seed determines the
 * faults; which requests they hit depends on timing.
 */

/** Duration of the long run, ms. The short run ends when each fault has occurred once. */
const DURATION = 600_000

const CLIENTS = isSoak ? 200 : 100

/** Maximum pause between two faults, ms. */
const PAUSE = isSoak ? 2000 : 500

type Faults = Record<string, (random: Random) => Promise<void>>

/** Faults of Redis and its connections, and faults of replicas. One fault of each group occurs at a time. */
function faultsOf ({ faults: { none: _, 'a replica is killed': killed, ...others }, redis, services }: Replicas): Faults[] {
  const stopped = async (random: Random, ms: number): Promise<void> => {
    const { child } = pick(random, services)
    child.kill('SIGSTOP')
    await delay(ms)
    child.kill('SIGCONT')
  }
  return [
    {
      ...others,
      'Redis is killed': async random => {
        await redis.kill()
        await delay(500 * random())
        await redis.start()
      }
    },
    {
      'a replica is killed': killed!,
      'a replica stands still for a moment': async random => await stopped(random, 900 * random()),
      // Mostly longer than the client time-out.
      'a replica stands still': async random => await stopped(random, 1000 + 4000 * random())
    }
  ]
}

/** Causes the faults one after the other: each once in random order, or random ones until `DURATION` has passed. Returns their counts. */
async function bring (faults: Faults, random: Random, after: () => void): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const end = performance.now() + DURATION
  let left = Object.keys(faults)
  while (isSoak ? performance.now() < end : left.length > 0) {
    const name = pick(random, left)
    await faults[name]!(random)
    if (!isSoak) left = left.filter(other => other !== name)
    counts[name] = (counts[name] ?? 0) + 1
    after()
    await delay(PAUSE * random())
  }
  return counts
}

const list = (counts: Record<string, number>): string => Object.entries(counts).map(([name, count]) => `${name} ${count}`).join(', ')

// Faults and restarts of processes are slow.
t.setTimeout(isSoak ? 0 : 240_000)

const seed = seeds([1])[0]!

t.test(`three replicas at full load, seed ${seed}`, { timeout: 0 }, async t => {
  // No retry can miss a window of an hour. Redis writes to disk before it answers.
  const replicas = await startReplicas(t, 3600, ['--appendonly', 'yes', '--appendfsync', 'always'])
  const { services, redis, prefix } = replicas
  const clients = await openClients(services[0]!, CLIENTS)
  const totals: Totals = { requests: 0, answers: {}, refreshes: 0, lost: [], doubleSpent: [] }
  const asker = createAsker(() => services, createRandom(seed), totals)
  t.teardown(asker.close)

  const over = new AbortController()
  const startedAt = performance.now()
  const live = async (client: Client): Promise<void> => {
    while (!over.signal.aborted && totals.lost.length === 0) await asker.refresh(client)
  }
  const forget = (): void => { for (const { lines } of services) lines.length = 0 }
  const [faults] = await Promise.all([
    Promise.all(faultsOf(replicas).map(async (faults, i) => await bring(faults, createRandom(seed + 1 + i), forget)))
      .finally(() => { over.abort() }),
    ...clients.map(live)
  ])
  const seconds = (performance.now() - startedAt) / 1000
  const { requests, refreshes } = totals
  await replicas.heal()
  for (const client of clients) {
    const { gen } = client
    while (client.gen === gen && totals.lost.length === 0) await asker.refresh(client)
  }

  const rate = Math.round(refreshes / seconds)
  t.comment(`${CLIENTS} sessions, ${Math.round(seconds)} s, ${requests} requests, ${refreshes} refreshes, ${rate} a second`)
  t.comment(`answers: ${list(totals.answers)}`)
  for (const counts of faults) t.comment(`faults: ${list(counts)}`)
  t.same(Object.keys(totals.answers).filter(status => !['200', '400', '500', 'none'].includes(status)), [], 'every answer has a documented status')
  t.same(totals.lost, [], 'no session is lost')
  t.same(totals.doubleSpent, [], 'no token has two successors')

  t.equal((await recordKeys(redis)).length, CLIENTS, 'every client has a record')
  for (const { userId, token, gen } of clients) {
    const record = await redis.client.hgetall(userKey(prefix, userId))
    const sessions = Object.entries(record).filter(([field]) => field.startsWith('s:'))
    const told = [[`s:${claimsOf(token).sid}`, gen]]
    if (JSON.stringify(sessions.map(([field, value]) => [field, Number.parseInt(value)])) !== JSON.stringify(told)) {
      t.fail(`the record of user ${userId} differs from the client's last answer, generation ${gen}`)
    }
  }
  t.ok(refreshes > CLIENTS, 'clients refresh throughout the run')
})
