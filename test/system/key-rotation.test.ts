import { EventEmitter, once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { createRemoteJWKSet, customFetch, decodeProtectedHeader, jwtVerify } from 'jose'
import t from 'tap'
import { parseKeys } from '#src/tokens/keys'
import { parsePrivateKeys } from '#src/tokens/private-keys'
import {
  claimsOf, environment, postRefresh, postSession, privateKey, secret, startRedis, startService,
  type ServiceProcess, type TokensBody
} from '../support/helper.ts'

/**
 * The procedures of docs/keys.md, with three real replicas under load: a private key replaces the secrets, another private
 * key replaces the first, and the secret of refresh tokens changes too. No user is logged out, no access token is rejected.
 */

/** Lifetime of an access token, seconds. */
const TTL = 2

/** Milliseconds for which the `aging` verifier caches the JWKS. */
const CACHED = 200

/** Milliseconds between two refreshes of a client. */
const PACE = 100

const users = [1, 2, 3]

/** A replica behind the balancer, with its unanswered requests. */
interface Replica {
  service: ServiceProcess
  inFlight: Set<Promise<unknown>>
}

t.test('keys rotate under load without a rejected token', async t => {
  const redis = await startRedis(t)
  const [accessSecret, oldRefresh, newRefresh] = [secret(), secret(), secret()]
  const [a, b] = [privateKey('EdDSA'), privateKey('ES256')]
  const base = environment(redis.url, { LOG_LEVEL: 'info', ACCESS_TOKEN_TTL: String(TTL), NODE_ENV: 'production', SHUTDOWN_DELAY: '0' })
  const env = (keys: string, accessSecrets: string, refreshSecrets: string): Record<string, string> =>
    ({ ...base, ACCESS_TOKEN_PRIVATE_KEYS: keys, ACCESS_TOKEN_SECRETS: accessSecrets, REFRESH_TOKEN_SECRETS: refreshSecrets })
  const kids = { secret: parseKeys(accessSecret)[0].kid, a: parsePrivateKeys(a)[0]!.kid, b: parsePrivateKeys(b)[0]!.kid }

  // The balancer sends each request to the next replica. A replica gets no new requests before its restart, and finishes the old ones.
  const replicas: Replica[] = []
  const services: ServiceProcess[] = []
  const add = async (env: Record<string, string>): Promise<void> => {
    const service = await startService(t, env)
    services.push(service)
    replicas.push({ service, inFlight: new Set() })
  }
  const balanced = async <T>(request: (service: ServiceProcess) => Promise<T>): Promise<T> => {
    const replica = replicas.shift()!
    replicas.push(replica)
    const answer = request(replica.service)
    replica.inFlight.add(answer)
    return await answer.finally(() => replica.inFlight.delete(answer))
  }
  const restartOneByOne = async (env: Record<string, string>): Promise<void> => {
    for (const replica of [...replicas]) {
      replicas.splice(replicas.indexOf(replica), 1)
      await Promise.allSettled(replica.inFlight)
      replica.service.child.kill('SIGTERM')
      await replica.service.exited
      await add(env)
    }
  }

  // Two verifying services: `aging` fetches the JWKS only when its copy is old, `asking` only for an unknown kid.
  const fetchBalanced = async (url: string, options: object): Promise<Response> => await balanced(async service => {
    const response = await fetch(new URL(new URL(url).pathname, service.publicUrl), options)
    return new Response(await response.text(), response)
  })
  const url = new URL('http://balancer/.well-known/jwks.json')
  const aging = createRemoteJWKSet(url, { [customFetch]: fetchBalanced, cacheMaxAge: CACHED, cooldownDuration: Infinity })
  const asking = createRemoteJWKSet(url, { [customFetch]: fetchBalanced, cacheMaxAge: Infinity, cooldownDuration: 0 })
  const verify = async (token: string): Promise<void> => {
    if (decodeProtectedHeader(token).alg === 'HS512') {
      await jwtVerify(token, Buffer.from(accessSecret), { algorithms: ['HS512'] })
    } else {
      for (const jwks of [aging, asking]) await jwtVerify(token, jwks, { algorithms: ['EdDSA', 'ES256'] })
    }
  }
  await Promise.all(users.map(async () => await add(env('', accessSecret, oldRefresh))))
  await Promise.all([aging.reload(), asking.reload()])
  t.same(aging.jwks(), { keys: [] })
  /** Waits until every cached copy of the JWKS has expired; stands for the much longer `Cache-Control`. */
  const copiesRunOut = async (): Promise<void> => await delay(CACHED + 10)

  // The load: clients refresh all the time, and use every token until it expires.
  const seen = new Set<string>()
  const refused: string[] = []
  const rounds = new Map(users.map(user => [user, 0]))
  const events = new EventEmitter()
  const end = new AbortController()
  const use = async (token: string): Promise<void> => {
    await verify(token).catch(err => {
      if (err.code !== 'ERR_JWT_EXPIRED') refused.push(`${decodeProtectedHeader(token).kid}: ${err.code} ${err.message}`)
    })
  }
  const client = async (userId: number): Promise<void> => {
    let { refreshToken, token } = await balanced(async service => await postSession(service.internalUrl, { userId }))
    let held: string[] = []
    while (!end.signal.aborted) {
      const response = await balanced(async service => await postRefresh(service.publicUrl, refreshToken))
      const body = await response.json()
      // A busy machine may cause a 500, which is no refusal.
      if (response.status === 500) continue
      if (response.status === 200) ({ refreshToken, token } = body as TokensBody)
      else refused.push(`refresh: ${response.status}`)
      seen.add(decodeProtectedHeader(token).kid!)
      held = [token, ...held.filter(token => claimsOf(token).exp * 1000 > Date.now())]
      await use(token)
      await use(held.at(-1)!)
      rounds.set(userId, rounds.get(userId)! + 1)
      events.emit('round')
      await delay(PACE)
    }
  }
  const load = Promise.all(users.map(client))
  /** Waits until all access tokens from before this call have expired, and every client has newer tokens. */
  const tokensRunOut = async (): Promise<void> => {
    const expired = delay(TTL * 1000)
    // Two rounds, because the first answer may have been sent before this call.
    const before = new Map(rounds)
    while (users.some(user => rounds.get(user)! < before.get(user)! + 2)) await once(events, 'round')
    await expired
  }

  t.comment('secrets sign; the private key is served')
  await restartOneByOne(env(`HS512,${a}`, accessSecret, `${oldRefresh},${newRefresh}`))
  t.same([...seen], [kids.secret])
  await copiesRunOut()
  t.comment('the private key signs')
  await restartOneByOne(env(a, accessSecret, `${newRefresh},${oldRefresh}`))
  await tokensRunOut()
  t.same([...seen], [kids.secret, kids.a])
  t.comment('the secrets are gone; the next key is served')
  await restartOneByOne(env(`${a},${b}`, '', newRefresh))
  await copiesRunOut()
  t.same([...seen], [kids.secret, kids.a])
  t.comment('the next key signs')
  await restartOneByOne(env(`${b},${a}`, '', newRefresh))
  await tokensRunOut()
  t.comment('the first key is gone')
  await restartOneByOne(env(b, '', newRefresh))
  await tokensRunOut()

  end.abort()
  await load
  t.same(refused, [])
  t.same(services.flatMap(({ lines }) => lines.filter(line => line.includes('other replicas sign with keys'))), [], 'no replica warns')
  t.same([...seen], [kids.secret, kids.a, kids.b])
  t.same(aging.jwks()!.keys.map(({ kid }) => kid), [kids.b])
  t.comment(`rounds: ${[...rounds.values()].join(', ')}`)
})
