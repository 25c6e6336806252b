import type { Redis } from 'ioredis'
import { withRedis } from '#src/cli/redis'
import type { Run } from '#src/cli/verb'
import { loadStoreConfig, type Config } from '#src/config/environment'
import { withoutArguments } from '#src/log/redact'
import { addressOf, mastersOf, type Masters } from '#src/redis/topology'
import { checksText, fail, ok, type Check } from './check.ts'
import { configurationChecks, deploymentChecks } from './configuration.ts'
import { connectReplica, replicasOf, replicationChecks } from './replicas.ts'
import { permissionChecks, readFacts, serverChecks } from './server.ts'
import { clockChecks, latencyCheck, measureLatency, readClock } from './timing.ts'

/** Checks everything the service depends on and says what to change, without changing it. Fails when any check fails. */
export const doctor: Run = async () => {
  const checks = [...await configurationChecks(), ...await redisChecks()]
  const failed = checks.some(({ status }) => status === 'fail')
  return { document: { ok: !failed, checks }, text: screen => checksText(checks, screen), failed }
}

async function redisChecks (): Promise<Check[]> {
  let config: Config
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
  const embedded = config.REDIS_URL === undefined
  const checks = [
    ok('redis', `connected to ${masters.map(addressOf).join(', ')}`),
    ...away.map(name => fail('redis', `${name} can't be reached: its part of the users is locked out`, 'see that it runs, or that a replica takes its place'))
  ]
  const replicas: Redis[] = []
  try {
    for (const master of masters) {
      const facts = await readFacts(master)
      replicas.push(...replicasOf(facts).map(replica => connectReplica(master, replica)))
      const found = [
        ...serverChecks(facts, embedded),
        ...replicationChecks(facts, config.REDIS_WAIT_REPLICAS, embedded),
        ...await permissionChecks(master, config),
        latencyCheck(await measureLatency(master))
      ]
      checks.push(...found.map(check => masters.length + away.length === 1 ? check : { ...check, server: addressOf(master) }))
    }
    await Promise.all(replicas.map(async replica => await replica.connect().catch(() => {})))
    return [...checks, ...clockChecks(await Promise.all([...masters, ...replicas].map(readClock)))]
  } finally {
    for (const replica of replicas) replica.disconnect()
  }
}
