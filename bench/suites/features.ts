import { userKey } from '../../src/redis/records.ts'
import { startOurs, type Fields, type OurService } from '../harness/contenders.ts'
import { rotated } from '../harness/environment.ts'
import { startLoad } from '../harness/load.ts'
import { describeMachine } from '../harness/machine.ts'
import { prefix } from '../harness/records.ts'
import { startRedis, type PrivateRedis } from '../harness/redis.ts'
import { ratios, spread, type Spread } from '../harness/statistics.ts'
import { cpuOf } from '../harness/usage.ts'
import type { Protocol } from '../load/protocol.ts'
import type { Report, Settings } from '../settings.ts'

/** The cost of one optional feature. Ratios to the plain session are of the same round. */
export interface FeatureResult {
  name: string
  /** Bytes of a user's record with one session, by MEMORY USAGE. */
  bytes: number
  /** Absent for sessions that the documented endpoint does not refresh. */
  refresh?: RefreshCost
}

export interface RefreshCost {
  /** Microseconds of CPU for each refresh. */
  redisCpu: Spread
  cpu: Spread
  redisToPlain: Spread
  toPlain: Spread
}

interface Feature {
  name: string
  fields?: (id: number) => Fields
  /** Headers of each refresh. */
  headers?: Record<string, string>
  env?: Record<string, string>
  /** Each refresh has a proof of a key. */
  isProven?: true
  hasNoRefresh?: true
}

/** About 100 bytes of JSON. */
const CLAIMS = { plan: 'gold', tenant: 'acme-corporation', permissions: ['orders:read', 'orders:write', 'invoices:read'] }

/** Each service warms up with the refreshes of this number of rounds. */
const WARM_UP = 10

/** The kernel counts CPU time in steps of some milliseconds: for fewer refreshes it may be 0. */
const MIN_COUNT = 1000

/** The plain session first. */
const list: Feature[] = [
  { name: 'plain session' },
  { name: '`Idempotency-Key`', headers: { 'Idempotency-Key': '"8e03978e-40d5-43dd-bc93-6894a57f9324"' } },
  { name: 'own lifetimes', fields: () => ({ idleTtl: 86_400, absoluteTtl: 864_000 }) },
  { name: 'no device', fields: () => ({ deviceId: undefined }), hasNoRefresh: true },
  { name: 'no e-mail address, no role', fields: () => ({ email: undefined, role: undefined }) },
  { name: 'user claims, 100 bytes', fields: () => ({ userClaims: CLAIMS }) },
  { name: 'session claims, 100 bytes', fields: () => ({ sessionClaims: CLAIMS }) },
  { name: 'user id of 36 characters', fields: id => ({ userId: textId(id) }) },
  { name: '`rfc9068` tokens', env: { ACCESS_TOKEN_FORMAT: 'rfc9068', ACCESS_TOKEN_AUDIENCE: 'https://api.example' } },
  { name: 'bound to a key (DPoP)', env: { DPOP: 'optional' }, isProven: true }
]

const textId = (id: number): string => `00000000-0000-4000-8000-${String(id).padStart(12, '0')}`

/** Measures all features in turn, round by round, on one Redis. Features of the same environment share a service. */
export async function features (settings: Settings, report: Report) {
  const { rounds, sessions, connections, rotations } = settings
  // Numbers instead of seconds: both services compile their code in the warm-up, and do the same work.
  const count = Math.max(MIN_COUNT, Math.ceil(rotations / 400))
  const load = startLoad(settings.acceptUnavailable)
  const redis = await startRedis()
  const services = new Map<Feature['env'], OurService>()
  try {
    const refreshed = list.filter(({ hasNoRefresh }) => hasNoRefresh === undefined)
    for (const [i, { name, fields, headers, env, isProven, hasNoRefresh }] of list.entries()) {
      const service = services.get(env) ?? await startOurs(redis.url, env && { env })
      services.set(env, service)
      const tokens = await service.open(firstId(i), hasNoRefresh ? 1 : sessions, fields)
      const protocol: Protocol = {
        ...service.protocol, ...headers && { headers }, ...isProven && { provenUrl: service.urls[0] + service.protocol.path }
      }
      if (!hasNoRefresh) await load.sessions({ ...service, protocol }, tokens, name)
    }
    const costs = new Map(refreshed.map(({ name }) => [name, { redisCpu: [] as number[], cpu: [] as number[] }]))
    for (const { name } of new Map(refreshed.map(feature => [feature.env, feature])).values()) {
      await load.count(name, { connections, count: count * WARM_UP })
    }
    for (let round = 0; round < rounds * 2; round++) {
      for (const { name, env } of rotated(refreshed, round)) {
        const { pid } = services.get(env)!
        const [cpuBefore, redisBefore] = [cpuOf(pid), (await redis.info()).cpu]
        const { total, unavailable } = await load.count(name, { connections, count })
        const done = total - unavailable
        costs.get(name)!.cpu.push((cpuOf(pid) - cpuBefore) / done)
        costs.get(name)!.redisCpu.push(((await redis.info()).cpu - redisBefore) / done)
      }
    }
    const plain = costs.get(list[0]!.name)!
    const results: FeatureResult[] = []
    for (const [i, feature] of list.entries()) {
      const cost = costs.get(feature.name)
      results.push({
        name: feature.name,
        bytes: await bytesOf(redis, feature.fields?.(firstId(i)).userId ?? firstId(i)),
        ...cost && {
          refresh: {
            redisCpu: spread(cost.redisCpu),
            cpu: spread(cost.cpu),
            redisToPlain: ratios(cost.redisCpu, plain.redisCpu),
            toPlain: ratios(cost.cpu, plain.cpu)
          }
        }
      })
      const { bytes, refresh } = results.at(-1)!
      report(`${feature.name.padEnd(28)} ${bytes} bytes` + (refresh === undefined
        ? ''
        : `  ${refresh.redisCpu.median.toFixed(1)} µs of Redis  ${refresh.cpu.median.toFixed(1)} µs of the service`))
    }
    return { machine: describeMachine((await redis.info()).version), results }
  } finally {
    for (const service of services.values()) await service.stop()
    await redis.stop()
    await load.stop()
  }
}

/** The first user of a feature; all ids have the same length. */
const firstId = (i: number): number => 100_000 * (i + 1)

/** Bytes of a record, after its refreshes. */
async function bytesOf ({ client }: PrivateRedis, id: number | string): Promise<number> {
  return await client.memory('USAGE', userKey(prefix, id), 'SAMPLES', 0) ?? NaN
}
