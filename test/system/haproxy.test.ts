import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startHaproxy, type Balancer } from '../support/haproxy.ts'
import { claimsOf, environment, postRefresh, postSession, startRedis, startService, type ServiceProcess, type TokensBody } from '../support/helper.ts'
import { freePort } from '../support/ports.ts'

/** Three replicas behind HAProxy, under load: clients notice no failure of a single replica. */

const CLIENTS = 12

/** Milliseconds between a client's refreshes, so that the machine can also run three replicas and their health checks. */
const PAUSE = 20

/** Milliseconds after which a client counts a request as failed. Longer than all of HAProxy's attempts. */
const TIMEOUT = 10_000

interface Load {
  /** Errors of the requests that were not answered with a 200. */
  failures: string[]
  /** Resolves when every client has refreshed `times` more times. */
  more (times: number): Promise<void>
  /** Stops after the last requests are answered; resolves with each client's number of refreshes and its newest token. */
  stop (): Promise<Array<{ count: number, refreshToken: string }>>
}

async function impatience (): Promise<never> {
  await delay(TIMEOUT, undefined, { ref: false })
  throw new Error('no answer')
}

/** Starts clients, each with its own session, that refresh until they are stopped. */
async function startLoad (t: Test, { publicUrl, internalUrl }: Balancer): Promise<Load> {
  const failures: string[] = []
  const stopping = new AbortController()
  t.teardown(() => { stopping.abort() })
  const clients = await Promise.all(Array.from({ length: CLIENTS }, async (_, i) => {
    const { refreshToken } = await postSession(internalUrl, { userId: i + 1 })
    return { count: 0, refreshToken }
  }))
  const loops = clients.map(async client => {
    while (!stopping.signal.aborted) {
      try {
        const response = await Promise.race([postRefresh(publicUrl, client.refreshToken), impatience()])
        const body = await response.json() as TokensBody
        if (response.status !== 200) throw new Error(`${response.status} ${JSON.stringify(body)}`)
        client.refreshToken = body.refreshToken
        client.count++
      } catch (err) {
        failures.push(String((err as Error).cause ?? err))
      }
      await delay(PAUSE)
    }
  })
  return {
    failures,
    more: async times => {
      const goals = clients.map(({ count }) => count + times)
      while (clients.some(({ count }, i) => count < goals[i]!) && failures.length === 0) await delay(PAUSE)
    },
    stop: async () => {
      stopping.abort()
      await Promise.all(loops)
      return clients
    }
  }
}

interface Cluster {
  haproxy: Balancer
  replica (i: number): ServiceProcess
  /** Starts a replica again, on the same ports. */
  restart (i: number): Promise<void>
  /** Resolves when HAProxy has marked the replica as up or down. */
  is (i: number, state: 'UP' | 'DOWN'): Promise<void>
  /** Resolves when the replica has answered another client. */
  serves (i: number): Promise<void>
}

async function startCluster (t: Test): Promise<Cluster> {
  // No persistence, so that a slow disk can't fail requests: other tests cover that.
  const redis = await startRedis(t, ['--appendonly', 'no'])
  const env = environment(redis.url, { LOG_LEVEL: 'info', SHUTDOWN_DELAY: '3' })
  const ports = await Promise.all([1, 2, 3].map(async () => ({ PORT: String(await freePort()), INTERNAL_PORT: String(await freePort()) })))
  const start = async (i: number): Promise<ServiceProcess> => await startService(t, { ...env, ...ports[i] })
  const replicas = await Promise.all(ports.map(async (_, i) => await start(i)))
  const haproxy = await startHaproxy(t, ports.map(({ PORT, INTERNAL_PORT }) => ({ public: `127.0.0.1:${PORT}`, internal: `127.0.0.1:${INTERNAL_PORT}` })))
  const served = async (i: number): Promise<number> => Number(await haproxy.figure(`replicas/replica-${i + 1}`, 'hrsp_2xx'))
  return {
    haproxy,
    replica: i => replicas[i]!,
    restart: async i => { replicas[i] = await start(i) },
    is: async (i, state) => await haproxy.until(`replicas/replica-${i + 1}`, 'status', value => value.startsWith(state)),
    serves: async i => {
      const before = await served(i)
      while (await served(i) === before) await delay(PAUSE)
    }
  }
}

let cluster: Cluster
t.before(async () => { cluster = await startCluster(t) })

/** Asserts that no request failed, and every session is live at the generation that its client has seen. */
async function assertUnnoticed (t: Test, load: Load): Promise<void> {
  const clients = await load.stop()
  t.same(load.failures, [], '0 requests failed')
  const last = await Promise.all(clients.map(async ({ refreshToken }) => await postRefresh(cluster.haproxy.publicUrl, refreshToken)))
  t.same(last.map(({ status }) => status), clients.map(() => 200), '0 sessions lost')
  const generations = await Promise.all(last.map(async response => claimsOf((await response.json() as TokensBody).refreshToken).gen))
  t.same(generations, clients.map(({ count }) => count + 2), 'no session was rotated twice')
}

const everyReplica = [0, 1, 2]

t.test('clients notice no rolling restart', async t => {
  const load = await startLoad(t, cluster.haproxy)
  await Promise.all(everyReplica.map(cluster.serves))
  for (const i of everyReplica) {
    const { child, exited } = cluster.replica(i)
    child.kill('SIGTERM')
    await cluster.is(i, 'DOWN')
    await load.more(3)
    t.same(await exited, [0, null])
    await cluster.restart(i)
    await cluster.is(i, 'UP')
    await cluster.serves(i)
  }
  await assertUnnoticed(t, load)
})

t.test('clients do not notice that a replica is killed and restarted', async t => {
  const load = await startLoad(t, cluster.haproxy)
  await Promise.all(everyReplica.map(cluster.serves))
  cluster.replica(1).child.kill('SIGKILL')
  await cluster.is(1, 'DOWN')
  await load.more(3)
  await cluster.restart(1)
  await cluster.is(1, 'UP')
  await Promise.all(everyReplica.map(cluster.serves))
  await assertUnnoticed(t, load)
})

t.test('requests in a replica that is stopped by SIGSTOP are repeated elsewhere, and have no effect after SIGCONT', async t => {
  const load = await startLoad(t, cluster.haproxy)
  await Promise.all(everyReplica.map(cluster.serves))
  const frozen = cluster.replica(1)
  const repeated = async (): Promise<number> => Number(await cluster.haproxy.figure('replicas/replica-2', 'wretr'))
  const before = await repeated()
  frozen.child.kill('SIGSTOP')
  await cluster.is(1, 'DOWN')
  while (await repeated() === before) await delay(PAUSE)
  // Now each session is generations ahead of any request in the stopped replica.
  await load.more(5)
  frozen.child.kill('SIGCONT')
  await frozen.line('Redis could not be used')
  await cluster.is(1, 'UP')
  await Promise.all(everyReplica.map(cluster.serves))
  await assertUnnoticed(t, load)
  t.same(frozen.lines.filter(line => line.includes('"reused"')), [])
})
