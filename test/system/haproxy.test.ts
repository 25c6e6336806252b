import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startHaproxy, type Balancer } from '../support/haproxy.ts'
import { claimsOf, environment, postRefresh, postSession, startRedis, startService, type ServiceProcess, type TokensBody } from '../support/helper.ts'
import { freePort } from '../support/ports.ts'

/** Three replicas behind HAProxy, under load: what happens to one of them happens to no client. */

const CLIENTS = 12

/** Milliseconds between a client's refreshes: the load must leave the machine room for three replicas and their checks. */
const PAUSE = 20

/** Milliseconds after which a client calls a request failed. More than all of HAProxy's attempts. */
const PATIENCE = 10_000

interface Load {
  /** What was not answered with a 200. */
  failures: string[]
  /** Resolves when every client has refreshed so many times more. */
  more (times: number): Promise<void>
  /** Lets the last requests be answered; resolves with how often each client refreshed, and its newest token. */
  stop (): Promise<Array<{ count: number, refreshToken: string }>>
}

async function impatience (): Promise<never> {
  await delay(PATIENCE, undefined, { ref: false })
  throw new Error('no answer')
}

/** Clients, each with a session of its own, that refresh one after the other until they are stopped. */
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
  /** Starts that replica again, where it was. */
  restart (i: number): Promise<void>
  /** HAProxy finds the replica up or down. */
  is (i: number, state: 'UP' | 'DOWN'): Promise<void>
  /** From now on, the replica has answered clients. */
  serves (i: number): Promise<void>
}

async function startCluster (t: Test): Promise<Cluster> {
  // Nothing on disk: a slow disk is trouble of Redis, and other tests are about that.
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

/** No request failed, and every session lives, at the very generation that its client has seen. */
async function assertUnnoticed (t: Test, load: Load): Promise<void> {
  const clients = await load.stop()
  t.same(load.failures, [], '0 requests failed')
  const last = await Promise.all(clients.map(async ({ refreshToken }) => await postRefresh(cluster.haproxy.publicUrl, refreshToken)))
  t.same(last.map(({ status }) => status), clients.map(() => 200), '0 sessions lost')
  const generations = await Promise.all(last.map(async response => claimsOf((await response.json() as TokensBody).refreshToken).gen))
  t.same(generations, clients.map(({ count }) => count + 2), 'and nothing was rotated twice')
}

const everyReplica = [0, 1, 2]

t.test('a rolling restart', async t => {
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

t.test('SIGKILL of a replica, and its return', async t => {
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

t.test('SIGSTOP of a replica, and SIGCONT: what it still had is repeated elsewhere, and of no effect later', async t => {
  const load = await startLoad(t, cluster.haproxy)
  await Promise.all(everyReplica.map(cluster.serves))
  const frozen = cluster.replica(1)
  const repeated = async (): Promise<number> => Number(await cluster.haproxy.figure('replicas/replica-2', 'wretr'))
  const before = await repeated()
  frozen.child.kill('SIGSTOP')
  await cluster.is(1, 'DOWN')
  while (await repeated() === before) await delay(PAUSE)
  // Whoever had a request there is now generations ahead of it.
  await load.more(5)
  frozen.child.kill('SIGCONT')
  await frozen.line('Redis could not be used')
  await cluster.is(1, 'UP')
  await Promise.all(everyReplica.map(cluster.serves))
  await assertUnnoticed(t, load)
  t.same(frozen.lines.filter(line => line.includes('"reused"')), [])
})
