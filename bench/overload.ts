import { fork } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { startOurs, type OurService } from './harness/contenders.ts'
import { startRedis, type PrivateRedis } from './harness/redis.ts'
import { quantile } from './harness/statistics.ts'
import { cpuOf } from './harness/usage.ts'
import { createClient, type Answer, type Client } from './overload/client.ts'

/**
 * `npm run bench:overload [variable=value …]`: measures how soon an overloaded service answers, with Redis well and with
 * Redis frozen, and the cost of a refresh. One service, one Redis, one machine.
 */

const BURST = 3000
const SECONDS = 6

function report (title: string, answers: Answer[]): void {
  const statuses = group(answers)
  console.log(`${title}: ${answers.length} answers`)
  for (const [status, list] of [...statuses].sort(([a], [b]) => a - b)) {
    const times = list.map(({ ms }) => ms)
    console.log(`  ${status === 0 ? 'cut' : status}  ${String(list.length).padStart(7)}   p50 ${quantile(times, 0.5).toFixed(0)} ms   ` +
      `p99 ${quantile(times, 0.99).toFixed(0)} ms   max ${quantile(times, 1).toFixed(0)} ms`)
  }
}

function group (answers: Answer[]): Map<number, Answer[]> {
  const groups = new Map<number, Answer[]>()
  for (const answer of answers) groups.set(answer.status, [...groups.get(answer.status) ?? [], answer])
  return groups
}

const burst = async (clients: Client[]): Promise<Answer[]> => await Promise.all(clients.map(async client => await client.refresh()))

/** Every client sends its next request after the answer to the last one. */
async function sustain (clients: Client[], seconds: number): Promise<Answer[]> {
  const answers: Answer[] = []
  const end = performance.now() + seconds * 1000
  await Promise.all(clients.map(async client => {
    while (performance.now() < end) answers.push(await client.refresh())
  }))
  return answers
}

/** Refreshes once for each client, 100 at a time so that none is turned away, and reports each session that is not alive. */
async function assertAlive (clients: Client[]): Promise<void> {
  for (let i = 0; i < clients.length; i += 100) {
    for (const { status } of await burst(clients.slice(i, i + 100))) if (status !== 200) console.log(`  A session is not alive: ${status}`)
  }
}

/** Opens new connections, 100 at a time: the service closes a connection that sends no request for about 10 s. */
async function connectAll (clients: Client[]): Promise<Client[]> {
  for (let i = 0; i < clients.length; i += 100) await Promise.all(clients.slice(i, i + 100).map(async client => await client.connect()))
  return clients
}

async function whileFrozen (redis: PrivateRedis, service: OurService, work: () => Promise<void>): Promise<void> {
  process.kill(redis.pid, 'SIGSTOP')
  await work()
  process.kill(redis.pid, 'SIGCONT')
  while ((await fetch(`${service.internalUrl}/readyz`)).status !== 200) await delay(20)
}

async function underWatch ({ internalUrl }: OurService, title: string, clients: Client[]): Promise<void> {
  await connectAll(clients)
  const watch = fork(new URL('./overload/health.ts', import.meta.url), [internalUrl])
  await once(watch, 'message')
  report(title, await sustain(clients, SECONDS))
  watch.send('over')
  const [answers] = await once(watch, 'message')
  watch.disconnect()
  report('  /readyz meanwhile', answers)
}

const warnings: string[] = []
const redis = await startRedis()
const service = await startOurs(redis.url, {
  // All clients of the bench share one address.
  env: { MAX_CONNECTIONS_PER_ADDRESS: '0', ...Object.fromEntries(process.argv.slice(2).map(pair => pair.split('='))) },
  onLine: line => { if (line.includes('"level":40') && !line.includes('request failed')) warnings.push(line) }
})
try {
  const { port } = new URL(service.urls[0]!)
  const clients = (await service.open(1, BURST)).map(token => createClient(Number(port), token))
  const few = await connectAll(clients.slice(0, 32))
  await sustain(few, 3)
  const before = cpuOf(service.pid)
  const answers = await sustain(few, SECONDS)
  report('32 clients', answers)
  console.log(`  ${Math.round(answers.length / SECONDS)} a second, ${((cpuOf(service.pid) - before) / answers.length).toFixed(1)} µs of CPU each`)

  report(`${BURST} at once, Redis is well`, await burst(await connectAll(clients)))
  for (const client of clients) client.connectLater()
  report(`${BURST} at once on new connections, Redis is well`, await burst(clients))
  await connectAll(clients)
  await whileFrozen(redis, service, async () => {
    report(`${BURST} at once, Redis is frozen`, await burst(clients))
    report(`${BURST} at once again`, await burst(clients))
  })
  await underWatch(service, '1000 clients without a pause, Redis is well', clients.slice(0, 1000))
  await underWatch(service, `${BURST} clients without a pause, Redis is well`, clients)
  await whileFrozen(redis, service, async () => {
    await underWatch(service, '1000 clients without a pause, Redis is frozen', clients.slice(0, 1000))
  })
  await assertAlive(await connectAll(clients))
  for (const client of clients) client.close()
  for (const line of warnings.slice(0, 10)) console.log(line)
} finally {
  await service.stop()
  await redis.stop()
}
