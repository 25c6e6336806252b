import t from 'tap'
import { createLogins, isSameOrigin } from '#src/console/login'
import { html } from '#src/console/html'
import { build, claimsOf, startRedis, type Service } from '../support/helper.ts'
import { consoleKey, LIFETIME, logIn, otherKey, visit, withConsole } from './helper.ts'

/** The console without a browser: log-in, forms, and the sessions that they end. */

const redis = await startRedis(t)

async function labels (service: Service, userId: number | string = 1): Promise<Array<string | null>> {
  const { sessions } = (await service.call('GET', `/internal/users/${userId}/sessions`)).json()
  return sessions.map(({ label }: { label: string | null }) => label).sort()
}

t.test('is absent unless a key has the scope', async t => {
  const service = await build(t, redis, { INTERNAL_API_KEY: '', INTERNAL_API_KEYS: `login:open+read+revoke:${otherKey}` })
  for (const path of ['', '/login', '/console.css', '/events']) t.equal((await visit(service).get(path)).statusCode, 404)
  t.equal((await (await withConsole(t, redis)).public.inject('/console')).statusCode, 404, 'and on the public listener always')
})

t.test('without a log-in every page leads to the log-in, and nothing ends', async t => {
  const service = await withConsole(t, redis)
  await service.open({ label: 'Phone' })
  const visitor = visit(service)
  for (const path of ['', '/overview', '/events', '/user?id=1', '/end?id=1&which=all']) {
    const { statusCode, headers } = await visitor.get(path)
    t.match({ statusCode, headers }, { statusCode: 303, headers: { location: '/console/login' } }, path)
  }
  t.equal((await visitor.post('/end', { id: '1', which: 'all' })).statusCode, 303)
  t.same(await labels(service), ['Phone'])
})

t.test('logs in with a key that has the scope, and out', async t => {
  const service = await withConsole(t, redis)
  const visitor = visit(service)
  for (const key of ['wrong', otherKey, '']) {
    const answer = await visitor.post('/login', { key })
    t.equal(answer.statusCode, 401)
    t.same(answer.cookies, [])
    t.match(answer.body, 'lacks the scope')
  }
  t.equal(service.log.filter(({ msg }) => msg === 'a log-in to the console was refused').length, 3)
  const answer = await visitor.post('/login', { key: consoleKey })
  t.match(answer, { statusCode: 303, headers: { location: '/console' } })
  t.match(answer.cookies, [{ name: 'console', httpOnly: true, sameSite: 'Strict', path: '/console', maxAge: LIFETIME }])
  t.notMatch(JSON.stringify([answer.headers, service.log]), consoleKey, 'neither the cookie nor the log has the key')
  const overview = await visitor.get('')
  t.equal(overview.statusCode, 200)
  t.match(overview.headers, {
    'cache-control': 'no-store', 'content-security-policy': /^default-src 'none'.*frame-ancestors 'none'$/, 'x-content-type-options': 'nosniff'
  })
  t.equal((await visitor.get('/login')).statusCode, 303)
  await visitor.post('/logout', {})
  t.equal((await visitor.get('')).statusCode, 303)
})

t.test('the cookie is Secure behind TLS', async t => {
  const service = await withConsole(t, redis, { TRUST_PROXY: 'on' })
  const { cookies } = await visit(service).post('/login', { key: consoleKey }, { 'sec-fetch-site': 'same-origin', 'x-forwarded-proto': 'https' })
  t.match(cookies, [{ secure: true }])
})

t.test('an address has ten log-ins a minute', async t => {
  const service = await withConsole(t, redis)
  const visitor = visit(service)
  for (let n = 0; n < 10; n++) t.equal((await visitor.post('/login', { key: 'wrong' })).statusCode, 401)
  const limited = await visitor.post('/login', { key: consoleKey })
  t.match(limited, { statusCode: 429, headers: { 'retry-after': /^\d+$/ } })
  t.same(limited.cookies, [])
})

t.test('a cookie ends after its lifetime, with its key, and can\'t be forged', async t => {
  let now = 1_800_000_000_000
  const keys = [{ name: 'ada', scopes: ['console'] as const, key: consoleKey }, { name: 'eve', scopes: ['read'] as const, key: otherKey }]
  const logins = createLogins(keys, () => now)
  const cookie = logins.logIn(consoleKey)!
  t.same(logins.read(cookie), { caller: 'ada', expiresAt: now / 1000 + LIFETIME })
  t.equal(logins.logIn(otherKey), undefined)
  t.equal(createLogins([{ ...keys[0]!, key: otherKey }], () => now).read(cookie), undefined, 'another key of the same name')
  t.equal(createLogins([{ ...keys[0]!, name: 'eve' }], () => now).read(cookie), undefined, 'the same key of another name')
  for (const forged of [undefined, '', 'ada', cookie.replace('ada', 'eve'), cookie.replace(/\.\d/, '.9'), `${cookie.slice(0, -2)}${cookie.at(-2) === 'A' ? 'B' : 'A'}${cookie.at(-1)}`]) {
    t.equal(logins.read(forged), undefined, `${forged}`)
  }
  now += LIFETIME * 1000
  t.equal(logins.read(cookie), undefined)
})

t.test('refuses forms of other sites', async t => {
  const service = await withConsole(t, redis)
  await service.open({ label: 'Phone' })
  const visitor = await logIn(service)
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://evil.example' }, {}]) {
    for (const [path, form] of [['/end', { id: '1', which: 'all' }], ['/login', { key: consoleKey }], ['/logout', {}]] as const) {
      t.equal((await visitor.post(path, form, headers as Record<string, string>)).statusCode, 403)
    }
  }
  t.same(await labels(service), ['Phone'])
  t.ok(isSameOrigin({ origin: 'http://internal:3001', host: 'internal:3001' }), 'browsers without Sec-Fetch-Site send Origin')
  t.notOk(isSameOrigin({ origin: 'null', host: 'internal:3001' }))
})

t.test('shows a user, and escapes labels and claims', async t => {
  const service = await withConsole(t, redis, { DPOP: 'optional', OAUTH_ISSUER: 'https://login.example.com' })
  const visitor = await logIn(service)
  t.match((await visitor.get('/user?id=7')).body, 'Nothing is stored')
  await service.open({ label: '<b>"Phone"</b>', userClaims: { plan: 'gold' }, sessionClaims: { amr: ['<i>'] } })
  const { body } = await visitor.get('/user?id=1')
  for (const text of ['guest@keygenqt.com', 'GUEST', '&lt;b&gt;&quot;Phone&quot;&lt;/b&gt;', '{&quot;plan&quot;:&quot;gold&quot;}', '&lt;i&gt;', 'Generation']) {
    t.ok(body.includes(text), text)
  }
  t.notMatch(body, /<b>"|<i>|style=/)
  await service.open({ userId: 'bare', email: undefined, role: undefined, deviceId: undefined, clientId: 'shop', jkt: 'k'.repeat(43) })
  const { body: bare } = await visitor.get('/user?id=bare')
  for (const text of ['Without a label', 'OAuth client</dt><dd>shop', `Bound to key</dt><dd>${'k'.repeat(43)}`, 'E-mail</dt><dd>–']) t.ok(bare.includes(text), text)
  for (const id of ['', '0', '-', '../x', 'a'.repeat(200)]) t.equal((await visitor.get(`/user?id=${encodeURIComponent(id)}`)).statusCode, 400, id)
  t.equal(html`<a title="${'"'}">${[1, html`<b>`]}${undefined}${false}${null}</a>`.html, '<a title="&quot;">1<b></a>')
})

t.test('ends one session, all others or all, after a question, under the name of the person', async t => {
  const service = await withConsole(t, redis)
  const visitor = await logIn(service)
  const [phone, laptop] = [await service.open({ deviceId: 'a', label: 'Phone' }), await service.open({ deviceId: 'b', label: 'Laptop' })]
  await service.open({ deviceId: 'c', label: 'Tablet' })
  const [sid, kept] = [claimsOf(laptop.token).sid, claimsOf(phone.token).sid]

  t.match((await visitor.get(`/end?id=1&which=one&sid=${sid}`)).body, /End the session “Laptop” of user 1\?/)
  t.same(await labels(service), ['Laptop', 'Phone', 'Tablet'], 'a question ends nothing')
  t.match(await visitor.post('/end', { id: '1', which: 'one', sid }), { statusCode: 303, headers: { location: '/console/user?id=1&ended=one' } })
  t.same(await labels(service), ['Phone', 'Tablet'])
  t.match(service.log.find(({ audit }) => audit === 'session.ended'), { userId: 1, sid, caller: 'ada', reason: 'logout' })
  t.match((await visitor.get('/user?id=1&ended=one')).body, 'The session has ended.')

  t.match((await visitor.get(`/end?id=1&which=others&sid=${kept}`)).body, 'but “Phone”')
  await visitor.post('/end', { id: '1', which: 'others', sid: kept })
  t.same(await labels(service), ['Phone'])
  t.match((await visitor.get('/end?id=1&which=all')).body, 'End every session of user 1?')
  await visitor.post('/end', { id: '1', which: 'all' })
  t.same(await labels(service), [])
  t.equal(service.log.filter(({ audit, caller }) => audit === 'session.ended' && caller === 'ada').length, 3)
})

t.test('a form that does not say what to end ends nothing', async t => {
  const service = await withConsole(t, redis)
  const visitor = await logIn(service)
  const { token } = await service.open({ label: 'Phone' })
  const { sid } = claimsOf(token)
  for (const form of [{ id: '1', which: 'one' }, { id: '1', which: 'others' }, { id: '1', which: 'all', sid }, { id: '1', which: 'every' }, { which: 'all' }]) {
    t.equal((await visitor.post('/end', form as unknown as Record<string, string>)).statusCode, 400)
    t.equal((await visitor.get(`/end?${new URLSearchParams(form as unknown as Record<string, string>)}`)).statusCode, 400)
  }
  t.same(await labels(service), ['Phone'])
})

t.test('says so when too few replicas have the end of a session', async t => {
  const service = await withConsole(t, redis)
  const { token } = await service.open()
  const { REDIS_PREFIX } = service.config
  const waiting = await withConsole(t, redis, { REDIS_PREFIX, REDIS_WAIT_REPLICAS: '1' })
  const answer = await (await logIn(waiting)).post('/end', { id: '1', which: 'one', sid: claimsOf(token).sid })
  t.match(answer, { statusCode: 500, body: /Not on enough replicas/ })
})

t.test('says so while Redis is down', async t => {
  const own = await startRedis(t)
  const service = await withConsole(t, own)
  const visitor = await logIn(service)
  await own.kill()
  const answer = await visitor.get('/user?id=1')
  t.match(answer, { statusCode: 500, body: /The request failed/ })
  t.match(service.log.find(({ msg }) => msg === 'request failed'), { level: 50, req: { url: '/console/user' } })
  t.equal((await visitor.get('')).statusCode, 200, 'the metrics of this process need no Redis')
})
