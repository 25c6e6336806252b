import { createHash } from 'node:crypto'
import t from 'tap'
import { parseUserId, type UserId } from '#src/tokens/user-id'
import { claimsOf, environment, recordKeys, startRedis, startService, type PrivateRedis } from '../../support/helper.ts'
import { createRandom, pick, type Random } from '../../support/random.ts'
import { isSoak, seeds } from '../../support/soak.ts'
import type { Attack, Kinds } from './attack.ts'
import { json, sizes, unicode } from './bodies.ts'
import { cookies } from './cookies.ts'
import { http, idle, late, raws } from './framing.ts'
import { gatewayKey, internal } from './internal.ts'
import { idempotencyKeys } from './keys.ts'
import { logouts } from './logouts.ts'
import { checkAnswers } from './check.ts'
import { measurable, measure } from '../../support/memory.ts'
import { call, openTargets, refresh, type Place, type Targets } from './targets.ts'
import { oauth, readerKey, shopKey } from './oauth.ts'
import { ISSUER, proofs, proved, provedAtGateway, provedWithCookie } from './proofs.ts'
import { tokens } from './tokens.ts'
import { exchange, request } from './wire.ts'

/**
 * Hostile requests to a running service: each gets a documented answer, and none has another effect. The seed determines the
 * requests, but not which of them arrive at the same time.
 */

const REQUESTS = isSoak ? 100_000 : 4000

/** Number of concurrent connections. */
const CLIENTS = 20

/** Allowed heap growth between the two measurements, bytes: V8 keeps more data about code that runs more often. */
const HEAP_SLACK = 2 ** 20

/** Classes of requests; `share` is the number of requests beside those of the other classes. */
const classes: Record<string, { share: number, kinds: Kinds }> = {
  tokens: { share: 16, kinds: tokens },
  'browsers\' cookies': { share: 8, kinds: cookies },
  'Idempotency-Keys': { share: 4, kinds: idempotencyKeys },
  'log-outs': { share: 8, kinds: logouts },
  JSON: { share: 12, kinds: json },
  Unicode: { share: 8, kinds: unicode },
  sizes: { share: 6, kinds: sizes },
  bytes: { share: 12, kinds: raws },
  HTTP: { share: 16, kinds: http },
  'the internal listener': { share: 10, kinds: internal },
  OAuth: { share: 14, kinds: oauth },
  'DPoP proofs': { share: 14, kinds: proofs }
}

const shares = Object.entries(classes).flatMap(([name, { share }]) => Array<string>(share).fill(name))

interface Report {
  /** Number of requests by class and kind. */
  counts: Record<string, Record<string, number>>
  /** Descriptions of undocumented answers. */
  wrong: string[]
}

async function attack (place: Place, { pieces, ...sending }: Attack): Promise<string | undefined> {
  try {
    const answers = await exchange(sending.listener === 'internal' ? place.internal : place.public, { pieces, ...sending })
    const wrong = checkAnswers({ pieces, ...sending }, answers)
    return wrong && `${wrong}, after ${JSON.stringify(Buffer.concat(pieces).toString('latin1').slice(0, 1500))}`
  } catch (err) {
    return `${(err as Error).message}, after ${JSON.stringify(Buffer.concat(pieces).toString('latin1').slice(0, 1500))}`
  }
}

async function attackOften (place: Place, targets: Targets, random: Random, requests: number, { counts, wrong }: Report): Promise<void> {
  let left = requests
  await Promise.all(Array.from({ length: CLIENTS }, async () => {
    while (left-- > 0) {
      const name = pick(random, shares)
      const kind = pick(random, Object.keys(classes[name]!.kinds))
      const made = classes[name]!.kinds[kind]!(random, targets)
      const found = await attack(place, made)
      if (made.own !== undefined) targets.giveBack(made.own)
      if (found !== undefined) wrong.push(`${name}, ${kind}: ${found}`)
      const count = counts[name] ??= {}
      count[kind] = (count[kind] ?? 0) + 1
    }
  }))
}

/** The number of all records, and a digest of all records except those of unusual clients. */
async function stored (redis: PrivateRedis, prefix: string, except: Set<UserId>): Promise<string> {
  const { client } = redis
  const keys = await recordKeys(redis)
  const hash = createHash('sha256')
  for (const key of keys) {
    hash.update(key)
    if (except.has(parseUserId(key.slice(prefix.length))!)) continue
    hash.update(JSON.stringify([Object.entries(await client.hgetall(key)).sort(), await client.expiretime(key)]))
  }
  return `${keys.length} ${hash.digest('hex')}`
}

t.setTimeout(isSoak ? 0 : 240_000)

const seed = seeds([1])[0]!

t.test(`hostile requests, seed ${seed}`, { timeout: 0 }, async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, {
    NODE_ENV: 'production',
    SHUTDOWN_DELAY: '0',
    REFRESH_RETRY_WINDOW: '3600',
    OAUTH_ISSUER: ISSUER,
    DPOP: 'optional',
    COOKIE_SESSIONS: 'on',
    ...measurable,
    INTERNAL_API_KEYS: `gateway:introspect:${gatewayKey},shop:oauth:${shopKey},reader:read:${readerKey}`
  })
  const service = await startService(t, env)
  const port = (url: string): number => Number(new URL(url).port)
  const place: Place = {
    public: port(service.publicUrl),
    internal: port(service.internalUrl),
    refreshSecret: env.REFRESH_TOKEN_SECRETS!,
    accessSecret: env.ACCESS_TOKEN_SECRETS!
  }
  const targets = await openTargets(place)
  const { odd } = targets
  const before = await stored(redis, env.REDIS_PREFIX!, odd)
  const report: Report = { counts: {}, wrong: [] }

  // Warm-up: the first requests compile code and size caches and buffers.
  const slow = Promise.all([...late, idle].map(async one => await attack(place, one)))
  await attackOften(place, targets, createRandom(seed), REQUESTS * 0.4, report)
  for (const found of await slow) if (found !== undefined) report.wrong.push(`late: ${found}`)
  await measure(service)
  await attackOften(place, targets, createRandom(seed + 1), REQUESTS * 0.3, report)
  const half = await measure(service)
  await attackOften(place, targets, createRandom(seed + 2), REQUESTS * 0.3, report)
  const whole = await measure(service)

  for (const [name, count] of Object.entries(report.counts)) {
    const sum = Object.values(count).reduce((sum, n) => sum + n)
    t.comment(`${name}: ${sum} requests (${Object.entries(count).map(([kind, n]) => `${kind} ${n}`).join('; ')})`)
  }
  t.same(report.wrong.slice(0, 10), [], `${REQUESTS} hostile requests are answered as documented`)

  t.comment(`heap ${half.heap} → ${whole.heap}, external ${half.external} → ${whole.external} bytes`)
  t.ok(whole.heap < half.heap + HEAP_SLACK, `the heap does not grow: ${half.heap} → ${whole.heap} bytes`)
  t.ok(whole.external < half.external + HEAP_SLACK, `external memory does not grow: ${half.external} → ${whole.external} bytes`)
  t.equal(whole.sockets, 0, 'no socket stays open')

  t.equal(service.child.exitCode ?? service.child.signalCode, null, 'the service process is still running')
  t.match(await call(place.internal, request('GET', '/healthz')), { status: 200, body: '{"status":"ok"}' }, '/healthz answers 200')
  t.equal((await call(place.internal, request('GET', '/readyz'))).status, 200, '/readyz answers 200')

  t.equal(await stored(redis, env.REDIS_PREFIX!, odd), before, 'nothing in Redis has changed')
  for (const { userId, deviceId, refreshToken } of targets.bystanders) {
    const { id, refreshToken: next } = await refresh(place.public, { deviceId, refreshToken })
    const [{ sid, gen }, { sid: nextSid, gen: nextGen }] = [claimsOf(refreshToken), claimsOf(next)]
    if (id !== userId || nextSid !== sid || nextGen !== gen + 1) t.fail(`the session of user ${userId} has changed`)
  }
  for (const one of targets.bound) {
    const { refreshToken } = one
    t.equal((await call(place.internal, provedAtGateway(one))).status, 204, 'the access token still works with a right proof')
    const { status, body } = await call(place.public, proved(one))
    t.equal(status, 200, 'the refresh token still works with a right proof')
    one.refreshToken = JSON.parse(body).refreshToken
    t.equal(claimsOf(one.refreshToken).gen, claimsOf(refreshToken).gen + 1)
    t.equal((await call(place.public, provedWithCookie(one))).status, 200, 'and in a cookie')
  }
  const log = service.lines.join('\n')
  for (const token of [...targets.bystanders, ...targets.bound].flatMap(one => [one.token, one.refreshToken, ...one.ancestors])) {
    const [, payload, signature] = token.split('.') as [string, string, string]
    if (log.includes(payload) || log.includes(signature)) t.fail('a token is in the log')
  }
  const errors = service.lines.map(line => JSON.parse(line)).filter(({ level }) => level >= 40)
  const refusedGateways = report.counts['the internal listener']!['a gateway without the key']
  t.equal(errors.filter(({ err }) => err?.code === 'RTS_GATEWAY_REFUSED').length, refusedGateways, 'every gateway request without the key is logged')
  t.same(errors.filter(({ err }) => err?.code !== 'RTS_GATEWAY_REFUSED'), [], 'no other warning or error is logged')
})
