import type { Redis } from 'ioredis'
import { loadStoreConfig, type Config } from '#src/config/environment'
import { withoutArguments } from '#src/log/redact'
import { withRedis } from '#src/cli/redis'
import { mastersOf, nameOf, type Masters } from '#src/cli/servers'
import type { Run } from '#src/cli/verb'
import { checksText, fail, ok, type Check } from './check.ts'
import { clockChecks, readClock, type Clock } from './clock.ts'
import { checkConfiguration } from './configuration.ts'
import { deploymentChecks } from './deployment.ts'
import { latencyCheck, measure } from './latency.ts'
import { permissionChecks } from './permissions.ts'
import { connectReplica, replicasOf, replicationChecks } from './replication.ts'
import { readFacts, serverChecks, type Facts } from './server.ts'

/** Checks everything the service depends on and says what to change, without changing it. Fails when any check fails. */
export const doctor: Run = async () => {
  const checks = [...await checkConfiguration(), ...await checkRedis()]
  return {
    document: { ok: !hasFailed(checks), checks },
    text: screen => checksText(checks, screen),
    failed: hasFailed(checks)
  }
}

function hasFailed (checks: Check[]): boolean {
  return checks.some(({ status }) => status === 'fail')
}

async function checkRedis (): Promise<Check[]> {
  let config
  try {
    config = loadStoreConfig()
  } catch {
    return [] // the configuration check reports the reason
  }
  try {
    return await withRedis(config, async client => [
      ...await checkServers(mastersOf(client), config),
      ...await deploymentChecks(client)
    ])
  } catch (err) {
    return [fail('redis', withoutArguments((err as Error).message), 'see that Redis runs, and that REDIS_URL is right')]
  }
}

async function checkServers ({ reached: masters, away }: Masters, config: Config): Promise<Check[]> {
  const checks = [
    ok('redis', `connected to ${masters.map(nameOf).join(', ')}`),
    ...away.map(name => fail('redis', `${name} can't be reached: its part of the users is locked out`, 'see that it runs, or that a replica takes its place'))
  ]
  const replicas: Redis[] = []
  try {
    for (const master of masters) {
      const facts = await readFacts(master)
      replicas.push(...replicasOf(facts).map(replica => connectReplica(master, replica)))
      const found = await checkServer(master, facts, config)
      checks.push(...found.map(check => masters.length + away.length === 1 ? check : { ...check, server: nameOf(master) }))
    }
    return [...checks, ...clockChecks(await readClocks(masters, replicas))]
  } finally {
    for (const replica of replicas) replica.disconnect()
  }
}

async function checkServer (master: Redis, facts: Facts, config: Config): Promise<Check[]> {
  const embedded = config.REDIS_URL === undefined
  return [
    ...serverChecks(facts, embedded),
    ...replicationChecks(facts, config.REDIS_WAIT_REPLICAS, embedded),
    ...await permissionChecks(master, config),
    latencyCheck(await measure(master))
  ]
}

async function readClocks (masters: Redis[], replicas: Redis[]): Promise<Clock[]> {
  await Promise.all(replicas.map(async replica => await replica.connect().catch(() => {})))
  return await Promise.all([...masters, ...replicas].map(readClock))
}
