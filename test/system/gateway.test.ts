import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, request, type IncomingHttpHeaders, type Server } from 'node:http'
import { createServer as createSocket, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { hashOf, holder } from '../dpop/helper.ts'
import { apiKey, build, claimsOf, startRedis, tempFolder, type PrivateRedis, type Service } from '../support/helper.ts'

/** deploy/nginx-auth-request.conf in a real nginx, with real clients, the real service, and an API that knows no tokens. */

/** A request as the API received it. */
interface Echo {
  method: string
  url: string
  /** Names as received, with all values. */
  headers: Array<[name: string, value: string]>
  body: string
}

interface Answer<Body> {
  status: number
  headers: IncomingHttpHeaders
  text: string
  /** The parsed text, if it is JSON. */
  body: Body
}

interface Gateway {
  /** Sends a request through nginx. `headers` alternates names and values, so that a name may occur twice. */
  send: (token?: string, options?: { method?: string, path?: string, headers?: string[], body?: string }) => Promise<Answer<Echo>>
  /** Number of requests that reached the API. */
  reached: () => number
}

interface Setup extends Gateway {
  service: Service
  redis: PrivateRedis
  /** The requests that reached the internal listener of the service. */
  asked: Echo[]
}

async function listen (t: Test, server: Pick<Server, 'listen' | 'address' | 'close' | 'once'>): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server as Server, 'listening')
  t.teardown(() => { server.close() })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const pairs = (raw: string[]): Array<[string, string]> => Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!, raw[2 * i + 1]!])

/** Starts nginx with the configuration, with this test's addresses, key and folder in it. Returns nginx's socket. */
async function startNginx (t: Test, verifier: string, api: string, key = apiKey): Promise<string> {
  const folder = await tempFolder(t)
  const socket = join(folder, 'nginx.sock')
  await writeFile(join(folder, 'key.conf'), `proxy_set_header X-Internal-Api-Key "${key}";\n`)
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${folder}/${name};`).join(' ')
  let config = await readFile('deploy/nginx-auth-request.conf', 'utf8')
  for (const [ours, theirs] of [
    ['\nhttp {', `\nhttp { access_log ${folder}/access.log; ${scratch}`],
    ['listen 8080;', `listen unix:${socket};`],
    ['server 127.0.0.1:3001;', `server ${verifier};`],
    ['server 127.0.0.1:8000;', `server ${api};`],
    ['include /etc/nginx/internal-api-key.conf;', `include ${folder}/key.conf;`]
  ] as const) {
    t.equal(config.split(ours).length, 2, `the configuration has one «${ours.trim()}»`)
    config = config.replace(ours, theirs)
  }
  await writeFile(join(folder, 'nginx.conf'), config)

  // A single process keeps the current user, and one signal ends it.
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr',
    '-g', `daemon off; master_process off; error_log stderr notice; pid ${folder}/nginx.pid;`], { stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const lines: string[] = []
  const output = createInterface(child.stderr).on('line', line => lines.push(line))
  // nginx logs its version right after it has begun to listen.
  while (!lines.some(line => line.includes(': nginx/'))) {
    await Promise.race([once(output, 'line'), exited.then(() => { throw new Error(`nginx did not start:\n${lines.join('\n')}`) })])
  }
  return socket
}

async function startGateway (t: Test, verifier: string, key?: string): Promise<Gateway> {
  let count = 0
  const api = await listen(t, createServer(async (request, response) => {
    count++
    const echo: Echo = { method: request.method!, url: request.url!, headers: pairs(request.rawHeaders), body: await text(request) }
    response.writeHead(request.url === '/teapot' ? 418 : request.url === '/forbidden' ? 401 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(echo))
  }))
  const socketPath = await startNginx(t, verifier, api, key)
  return {
    reached: () => count,
    send: async (token, { method = 'GET', path = '/', headers = [], body } = {}) => {
      const all = ['Host', 'api.example', ...(token === undefined ? [] : ['Authorization', `Bearer ${token}`]), ...headers,
        ...(body === undefined ? [] : ['Content-Length', String(Buffer.byteLength(body))])]
      const sent = request({ socketPath, method, path, headers: all, agent: false })
      const answered = once(sent, 'response')
      sent.end(body)
      const [response] = await answered
      const answer = await text(response)
      const isJson = response.headers['content-type'] === 'application/json'
      return { status: response.statusCode, headers: response.headers, text: answer, body: isJson ? JSON.parse(answer) : undefined }
    }
  }
}

async function setup (t: Test): Promise<Setup> {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const asked: Echo[] = []
  service.internal.server.on('request', async request => {
    const { method = '', url = '', rawHeaders } = request
    const echo: Echo = { method, url, headers: pairs(rawHeaders), body: '' }
    asked.push(echo)
    request.on('data', (chunk: Buffer) => { echo.body += chunk })
  })
  const address = await service.internal.listen({ port: 0, host: '127.0.0.1' })
  return { service, redis, asked, ...await startGateway(t, new URL(address).host) }
}

const valuesOf = ({ headers }: Echo, pattern: RegExp): Array<[string, string]> => headers.filter(([name]) => pattern.test(name))

/** Matches every name that a server might read as one of the three headers. */
const identity = /user.?(id|role)|session.?id/i

function assertOutside (t: Test, answer: Answer<unknown>, status: 401 | 500): void {
  t.equal(answer.status, status)
  t.equal(answer.text, status === 401 ? '{"code":401,"message":"Unauthorized"}' : '{"code":500,"message":"Internal Error"}')
  t.match(answer.headers, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  t.equal(answer.headers['www-authenticate'], status === 401 ? 'Bearer' : undefined)
  t.same(Object.keys(answer.headers).filter(name => identity.test(name)), [])
}

t.test('only requests with a valid access token reach the API', async t => {
  const { service, send, reached } = await setup(t)
  const { token, refreshToken } = await service.open()
  for (const wrong of [undefined, 'x', refreshToken, `${token.slice(0, -10)}AAAAAAAAAA`]) assertOutside(t, await send(wrong), 401)
  assertOutside(t, await send(undefined, { headers: ['X-User-Id', '1', 'X-User-Role', 'ADMIN', 'X-Session-Id', 'x'] }), 401)
  assertOutside(t, await send(undefined, { headers: ['X-Internal-Api-Key', apiKey] }), 401)
  t.equal(reached(), 0)

  const answer = await send(token, { path: '/orders/1?x=y' })
  t.equal(answer.status, 200)
  t.match(answer.body, { method: 'GET', url: '/orders/1?x=y' })
  t.same(valuesOf(answer.body, identity), [['X-User-Id', '1'], ['X-User-Role', 'GUEST'], ['X-Session-Id', claimsOf(token).sid]])
  t.notOk(JSON.stringify(answer.body).includes(token), 'the API does not get the token')
  t.notOk(JSON.stringify(answer.body).includes(apiKey), 'the API does not get the key')
})

t.test('a token that is bound to a key reaches the API only with a proof of its request', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { DPOP: 'optional' })
  const { send } = await startGateway(t, new URL(await service.internal.listen({ port: 0, host: '127.0.0.1' })).host)
  const { prove, jkt } = await holder()
  const { token } = await service.open({ jkt })
  const ask = async (htm: string, htu: string): Promise<number> => {
    const dpop = await prove({ htm, htu, ath: hashOf(token) })
    const headers = ['Authorization', `DPoP ${token}`, 'DPoP', dpop, 'X-Forwarded-Uri', '/other', 'X-Forwarded-Method', 'GET']
    return (await send(undefined, { method: 'POST', path: '/orders?page=2', headers, body: 'x' })).status
  }
  t.equal(await ask('POST', 'http://api.example/orders'), 200)
  t.equal(await ask('POST', 'http://api.example/other'), 401, 'the client can\'t choose the address')
  t.equal(await ask('GET', 'http://api.example/orders'), 401, 'nor the method')
  t.equal((await send(token)).status, 401, 'as a bearer token')
})

t.test('identity headers from a client never reach the API', async t => {
  const { service, send } = await setup(t)
  const { token } = await service.open()
  const { sid } = claimsOf(token)
  const lies: Record<string, string[]> = {
    'the headers themselves': ['X-User-Id', '2', 'X-User-Role', 'ADMIN', 'X-Session-Id', 'x'],
    'in another case': ['x-user-id', '2', 'X-USER-ROLE', 'ADMIN', 'x-Session-ID', 'x'],
    'similar names': ['X-User-Name', 'q', 'X-User', '2', 'X-User-Email', 'q@q', 'X-User-Id', '2'],
    twice: ['X-User-Id', '2', 'x-user-id', '3', 'X-User-Id', '1'],
    'with underscores': ['X_User_Id', '2', 'X-User_Id', '2', 'X_User-Id', '2', 'x_user_role', 'ADMIN', 'X_SESSION_ID', 'x'],
    'with other punctuation': ['X.User.Id', '2', 'X~User~Role', 'ADMIN', "X'Session'Id", 'x', 'X-User.Id', '2'],
    'named in Connection': ['Connection', 'close, X-User-Id, X-User-Role', 'X-User-Id', '2'],
    'the key for the service': ['X-Internal-Api-Key', 'x', 'X-User-Id', '2']
  }
  for (const [what, headers] of Object.entries(lies)) {
    const { status, body } = await send(token, { headers })
    t.equal(status, 200, what)
    t.same(valuesOf(body, identity), [['X-User-Id', '1'], ['X-User-Role', 'GUEST'], ['X-Session-Id', sid]], what)
  }
})

t.test('the next request of an ended session gets a 401', async t => {
  const { service, send, reached } = await setup(t)
  for (const everywhere of [false, true]) {
    const { token } = await service.open()
    for (let i = 0; i < 3; i++) t.equal((await send(token)).status, 200)
    const before = reached()
    await service.call('DELETE', `/internal/users/1/sessions${everywhere ? '' : `/${claimsOf(token).sid}`}`)
    assertOutside(t, await send(token), 401)
    t.equal(reached(), before)
  }
})

t.test('a changed role takes effect at once', async t => {
  const { service, send } = await setup(t)
  const { token } = await service.open()
  t.same(valuesOf((await send(token)).body, /role/i), [['X-User-Role', 'GUEST']])
  await service.call('PATCH', '/internal/users/1', { role: 'ADMIN' })
  t.same(valuesOf((await send(token)).body, /role/i), [['X-User-Role', 'ADMIN']])
})

t.test('nginx sends only the token, the description of the request and the key to the service', async t => {
  const { service, send, asked } = await setup(t)
  const { token } = await service.open()
  const body = 'x'.repeat(200_000)
  const answer = await send(token, { method: 'POST', path: '/orders', headers: ['Cookie', 'a=b', 'Content-Type', 'text/plain', 'X-User-Id', '2'], body })
  t.match(answer, { status: 200, body: { method: 'POST', url: '/orders', body } }, 'the API gets the whole request')
  t.match(valuesOf(answer.body, /^cookie$/i), [['Cookie', 'a=b']])
  t.match(asked, [{ method: 'GET', url: '/internal/verify', body: '' }])
  t.same(asked[0]!.headers.map(([name]) => name.toLowerCase()).sort(), [
    'authorization', 'host', 'x-forwarded-host', 'x-forwarded-method', 'x-forwarded-proto', 'x-forwarded-uri', 'x-internal-api-key'
  ])
  assertOutside(t, await send('x', { method: 'POST', body }), 401)
  t.equal(asked.length, 2)
})

t.test('clients can\'t request the inner location, and get the API\'s own errors unchanged', async t => {
  const { service, send, reached } = await setup(t)
  const { token } = await service.open()
  t.match(await send(token, { path: '/teapot' }), { status: 418, body: { url: '/teapot' } })
  t.match(await send(token, { path: '/forbidden' }), { status: 401, body: { url: '/forbidden' } })
  const before = reached()
  t.equal((await send(token, { path: '/_verify' })).status, 404)
  t.equal(reached(), before)
})

t.test('rejects while the service is down or the key is wrong', async t => {
  const { service, redis, send, reached } = await setup(t)
  const { token } = await service.open()
  const keyless = await startGateway(t, new URL(service.internal.listeningOrigin).host, `${apiKey}x`)
  assertOutside(t, await keyless.send(token), 500)
  assertOutside(t, await keyless.send(), 500)
  t.equal(keyless.reached(), 0)

  t.equal((await send(token)).status, 200)
  await redis.kill()
  assertOutside(t, await send(token), 500)
  await service.internal.close()
  assertOutside(t, await send(token), 500)
  assertOutside(t, await send(), 500)
  t.equal(reached(), 1)
})

t.test('rejects while the service hangs', { timeout: 20_000 }, async t => {
  const mute = createSocket(socket => { t.teardown(() => socket.destroy()) })
  const { send, reached } = await startGateway(t, await listen(t, mute as unknown as Server))
  assertOutside(t, await send('x'), 500)
  t.equal(reached(), 0)
})
