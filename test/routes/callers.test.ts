import t from 'tap'
import Fastify, { type LightMyRequestResponse } from 'fastify'
import { scopes, type Scope } from '#src/settings/api-keys'
import hooks from '../../routes/internal/internal/autohooks.ts'
import { apiKey, build, claimsOf, guest, secret, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** Keys of the internal API, each with a name and scopes. */

const sid = 'A'.repeat(22)

/** Every call of the internal API, and the scope that it needs. */
const calls: Array<[scope: Scope, method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'DELETE', url: string, payload?: object | string]> = [
  ['open', 'POST', '/internal/sessions', guest],
  ['read', 'GET', '/internal/users/1/sessions'],
  ['read', 'HEAD', '/internal/users/1/sessions'],
  ['revoke', 'DELETE', `/internal/users/1/sessions/${sid}`],
  ['revoke', 'DELETE', '/internal/users/1/sessions'],
  ['read', 'GET', '/internal/users/1'],
  ['revoke', 'DELETE', '/internal/users/1?erase'],
  ['profile', 'PATCH', '/internal/users/1', { role: 'ADMIN' }],
  ['introspect', 'POST', '/internal/introspect', 'token=x']
]

const keys = Object.fromEntries(scopes.map(scope => [scope, secret()])) as Record<Scope, string>
const [login, old] = [secret(), secret()]

let redis: PrivateRedis
let service: Service
t.before(async () => {
  redis = await startRedis(t)
  service = await build(t, redis, {
    INTERNAL_API_KEYS: [...scopes.map(scope => `only-${scope}:${scope}:${keys[scope]}`), `login:open+revoke:${old}`, ` login:revoke+open:${login}`].join(',')
  })
})

async function call (key: string, [, method, url, payload]: typeof calls[number]): Promise<LightMyRequestResponse> {
  const type = typeof payload === 'string' ? { 'content-type': 'application/x-www-form-urlencoded' } : {}
  return await service.internal.inject({ method, url, headers: { authorization: `Bearer ${key}`, ...type }, ...payload === undefined ? {} : { payload } })
}

const isPermitted = ({ statusCode }: LightMyRequestResponse): boolean => [200, 201, 204].includes(statusCode)

t.test('a key permits exactly the calls of its scopes', async t => {
  for (const scope of scopes) {
    await service.open()
    for (const one of calls) {
      const [needed, method, url] = one
      const response = await call(keys[scope], one)
      const what = `${scope}: ${method} ${url}`
      if (needed === scope) {
        t.ok(isPermitted(response), `${what}: ${response.statusCode}`)
        continue
      }
      t.equal(response.statusCode, 403, what)
      t.match(response.headers, { 'www-authenticate': `Bearer error="insufficient_scope", scope="${needed}"`, 'cache-control': 'no-store' }, what)
      if (method !== 'HEAD') t.equal(response.body, `{"code":403,"message":"Forbidden: the API key of only-${scope} lacks the scope ${needed}"}`, what)
    }
  }
})

t.test('two keys of one name are known at once, with several scopes', async t => {
  for (const key of [old, login]) {
    for (const one of calls) {
      const response = await call(key, one)
      t.equal(isPermitted(response), ['open', 'revoke'].includes(one[0]), `${one[1]} ${one[2]}: ${response.statusCode}`)
    }
  }
})

t.test('Basic credentials of a caller are as good as its key, encoded as OAuth demands or not', async t => {
  const special = `${secret()}+/=~`
  const { internal } = await build(t, redis, { INTERNAL_API_KEYS: `reader:read:${keys.read},api:introspect+read:${special}` })
  const ask = async (credentials: string, scheme = 'Basic'): Promise<LightMyRequestResponse> => await internal.inject({
    url: '/internal/users/1/sessions', headers: { authorization: `${scheme} ${Buffer.from(credentials).toString('base64')}` }
  })
  const encoded = encodeURIComponent(special)
  for (const credentials of [`reader:${keys.read}`, `default:${apiKey}`, `api:${special}`, `api:${encoded}`, `%61pi:${encoded}`]) {
    t.equal((await ask(credentials)).statusCode, 200, credentials.slice(0, 7))
  }
  t.equal((await ask(`api:${encoded}`, 'basic')).statusCode, 200, 'the scheme in lower case')
  const wrong = [
    `api:${keys.read}`, `reader:${encoded}`, `:${encoded}`, 'api:', 'api', '', `api:${encoded}%`, `api:%FF${encoded}`, `api:${encoded}:`, ` api:${encoded}`,
    `Reader:${keys.read}`, `default:${keys.read}`, `reader:${keys.read}\0`
  ]
  for (const credentials of wrong) {
    const { statusCode, headers } = await ask(credentials)
    t.match({ statusCode, ...headers }, { statusCode: 401, 'www-authenticate': 'Basic realm="refresh-token-service"' }, credentials.slice(0, 7))
  }
  for (const authorization of ['Basic', 'Basic !', `Basic ${keys.read}`, `Basic ${'A'.repeat(9000)}`]) {
    t.equal((await internal.inject({ url: '/internal/users/1/sessions', headers: { authorization } })).statusCode, 401)
  }
  const { statusCode, headers } = await internal.inject({
    method: 'POST', url: '/internal/sessions', payload: guest, headers: { authorization: `Basic ${Buffer.from(`reader:${keys.read}`).toString('base64')}` }
  })
  t.match({ statusCode, ...headers }, { statusCode: 403, 'cache-control': 'no-store' }, 'the scopes hold')
})

t.test('INTERNAL_API_KEY has every scope, beside other keys or alone; without it, it is unknown', async t => {
  await service.open()
  for (const one of calls.filter(([scope]) => scope !== 'profile')) t.ok(isPermitted(await call(apiKey, one)), one[2])
  const { internal } = await build(t, redis, { INTERNAL_API_KEY: '', INTERNAL_API_KEYS: `reader:read:${keys.read}` })
  const status = async (key: string): Promise<number> =>
    (await internal.inject({ url: '/internal/users/1/sessions', headers: { authorization: `Bearer ${key}` } })).statusCode
  t.same([await status(keys.read), await status(apiKey), await status('undefined'), await status('')], [200, 401, 401, 401])
})

t.test('a known key without the scope changes nothing', async t => {
  const { refreshToken } = await service.open({ userId: 5 })
  const sid = claimsOf(refreshToken).sid
  const before = await redis.client.hgetall(`${service.config.REDIS_PREFIX}5`)
  const answers = await Promise.all([
    call(keys.introspect, ['open', 'POST', '/internal/sessions', { ...guest, userId: 5 }]),
    call(keys.introspect, ['revoke', 'DELETE', `/internal/users/5/sessions/${sid}`]),
    call(keys.introspect, ['revoke', 'DELETE', '/internal/users/5/sessions']),
    call(keys.introspect, ['profile', 'PATCH', '/internal/users/5', { role: 'ADMIN' }])
  ])
  t.same(answers.map(({ statusCode }) => statusCode), [403, 403, 403, 403])
  t.same(await redis.client.hgetall(`${service.config.REDIS_PREFIX}5`), before)
})

t.test('the scope is checked before the body and the path', async t => {
  t.equal((await call(keys.read, ['open', 'POST', '/internal/sessions', {}])).statusCode, 403)
  t.equal((await call(keys.open, ['read', 'GET', '/internal/users/x/sessions'])).statusCode, 403)
})

t.test('a gateway whose key lacks the scope gets 500, so that its clients are not logged out', async t => {
  const { token } = await service.open()
  const verify = async (key: string, url = '/internal/verify'): Promise<number> =>
    (await service.internal.inject({ url, headers: { 'x-internal-api-key': key, authorization: `Bearer ${token}` } })).statusCode
  t.same([await verify(keys.introspect), await verify(apiKey), await verify(keys.introspect, '/internal/verify/x')], [204, 204, 200])
  for (const key of [keys.read, login]) {
    t.same([await verify(key), await verify(key, '/internal/verify/x')], [500, 500])
  }
  t.ok(service.log.some(({ err }) => /^The X-Internal-Api-Key of a gateway lacks the scope introspect$/.test((err as Error | undefined)?.message ?? '')))
})

t.test('the log names the caller of a refused call, and no key', async t => {
  await call(keys.read, ['open', 'POST', '/internal/sessions', guest])
  await call(`${keys.read}x`, ['open', 'POST', '/internal/sessions', guest])
  const lines = service.log.filter(({ msg }) => msg === 'request refused')
  t.match(lines.at(-2), { code: 'RTS_FORBIDDEN', caller: 'only-read', req: { method: 'POST', url: '/internal/sessions' } })
  t.match(lines.at(-1), { code: 'RTS_UNAUTHORIZED', caller: undefined })
  for (const key of [...Object.values(keys), login, old]) t.notOk(JSON.stringify(service.log).includes(key))
})

t.test('a route below /internal names its scope, or the start fails', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  app.decorate('config', service.config)
  app.decorate('store', service.internal.store)
  await hooks(app, {})
  t.throws(() => app.get('/internal/x', { schema: { response: {} } }, async () => ''), { message: 'the route /internal/x names no scope' })
})
