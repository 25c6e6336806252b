import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { checkVersion } from '#src/redis/checks'
import { connectRedis, type ConnectOptions } from '#src/redis/connect'
import { environment, postSession, startRedis, startService, tempFolder } from '../support/helper.ts'
import { freePort } from '../support/ports.ts'

const log = pino({ level: 'silent' })

const settings = (url: string): ConnectOptions => ({ url, needs: { prefix: 'rt:' } })

t.test('connects over TCP as a user with a password, in a chosen database', async t => {
  const port = await freePort()
  const redis = await startRedis(t, ['--port', String(port)])
  await redis.client.acl('SETUSER', 'app', 'on', '>sesame', '~*', '&*', '+@all')
  const client = await connectRedis(settings(`redis://app:sesame@127.0.0.1:${port}/3`), log)
  t.teardown(() => { client.disconnect() })
  t.equal(await client.acl('WHOAMI'), 'app')
  t.match(await client.client('INFO'), /name=refresh-token-service .*db=3/)
  t.equal((await redis.client.acl('WHOAMI')), 'default')
})

t.test('rejects at once on a wrong password or database', async t => {
  const port = await freePort()
  const redis = await startRedis(t, ['--port', String(port)])
  await redis.client.acl('SETUSER', 'app', 'on', '>sesame', '~*', '&*', '+@all')
  await t.rejects(connectRedis(settings(`redis://app:wrong-word@127.0.0.1:${port}/3`), log), {
    name: 'StartError', message: `Redis at redis://127.0.0.1:${port}/3 (REDIS_URL) can't be used: WRONGPASS invalid username-password pair or user is disabled.`
  })
  await t.rejects(connectRedis(settings(`redis://127.0.0.1:${port}/99`), log), { name: 'StartError', message: /ERR DB index is out of range/ })
})

t.test('does not print the password when the server does not know AUTH', async t => {
  const port = await freePort()
  await startRedis(t, ['--port', String(port), '--rename-command', 'AUTH ""', '--rename-command', 'HELLO ""'])
  const err = await connectRedis(settings(`redis://bob:sesame-open@127.0.0.1:${port}`), log).catch(err => err)
  t.match(err, { name: 'StartError', message: /unknown command/ })
  t.notMatch(err.message, /sesame|bob/)
})

t.test('the error says that the server is still loading', async t => {
  const loading = createServer(socket => { socket.on('data', () => socket.write('-LOADING Redis is loading the dataset in memory\r\n')).on('error', () => {}) })
  loading.listen(0, '127.0.0.1')
  await once(loading, 'listening')
  t.teardown(() => { loading.close() })
  await t.rejects(connectRedis(settings(`redis://127.0.0.1:${(loading.address() as AddressInfo).port}`), log), { name: 'StartError', message: /load/ })
})

t.test('connects over TLS with a certificate in NODE_EXTRA_CA_CERTS', async t => {
  const { port, ca } = await startTls(t)
  const service = await startService(t, environment(`rediss://localhost:${port}`, { NODE_EXTRA_CA_CERTS: ca, LOG_LEVEL: 'info' }))
  t.match(await postSession(service.internalUrl), { id: 1 })
})

t.test('rejects a self-signed certificate', async t => {
  const { port } = await startTls(t)
  await t.rejects(connectRedis(settings(`rediss://localhost:${port}`), log), { name: 'StartError', message: /self-signed certificate/ })
})

t.test('rejects when the server never answers', async t => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  t.teardown(() => { silent.close() })
  const { port } = silent.address() as AddressInfo
  await t.rejects(connectRedis(settings(`redis://127.0.0.1:${port}`), log), { name: 'StartError', message: /can't be used/ })
})

t.test('the start-up checks survive a lost connection', async t => {
  const redis = await startRedis(t)
  let questions = 0
  const wire = createServer(client => {
    const server = connect(new URL(redis.url).pathname).on('error', () => {})
    server.pipe(client).on('error', () => {}).on('close', () => { server.destroy() })
    client.on('data', data => {
      if (data.includes('memory') && ++questions === 1) client.destroy()
      else server.write(data)
    })
  }).listen(0, '127.0.0.1')
  await once(wire, 'listening')
  t.teardown(() => { wire.close() })
  const client = await connectRedis(settings(`redis://127.0.0.1:${(wire.address() as AddressInfo).port}`), log)
  client.disconnect()
  t.equal(questions, 2)
})

t.test('reconnects when the server has become read-only, and finds the new server at the address', async t => {
  const [old, next] = [await startRedis(t), await startRedis(t)]
  let target = old.url
  const wire = createServer(client => {
    const server = connect(new URL(target).pathname).on('error', () => {})
    server.pipe(client).on('error', () => {}).pipe(server)
  }).listen(0, '127.0.0.1')
  await once(wire, 'listening')
  t.teardown(() => { wire.close() })
  const client = await connectRedis(settings(`redis://127.0.0.1:${(wire.address() as AddressInfo).port}`), log)
  t.teardown(() => { client.disconnect() })

  await old.client.replicaof('127.0.0.1', 1)
  target = next.url
  const back = once(client, 'ready')
  await t.rejects(client.set('here', '1'), /READONLY/)
  await back
  await client.set('here', '1')
  t.equal(await next.client.exists('here'), 1)
})

t.test('rejects commands while disconnected instead of queueing them', async t => {
  const redis = await startRedis(t)
  const client = await connectRedis(settings(redis.url), log)
  t.teardown(() => { client.disconnect() })
  const attempt = once(client, 'close').then(async () => await client.set('queued', '1'))
  const rejected = t.rejects(attempt, /writeable/)
  const back = once(client, 'ready')
  await redis.client.client('KILL', 'ID', String(await client.client('ID')))
  await rejected
  await back
  await client.ping()
  t.equal(await redis.client.exists('queued'), 0)
})

t.test('the error names a server older than 7.0 and its version', async t => {
  t.same(checkVersion('# Server\r\nredis_version:6.2.14\r\n', 'redis://old:6379/0'), [{
    fatal: true, text: 'Redis 6.2.14 at redis://old:6379/0 is too old: Redis or Valkey 7.0 or later is needed.'
  }])
  for (const version of ['redis_version:7.0.0', 'redis_version:8.10.1', 'redis_version:7.2.4\r\nvalkey_version:7.2.5', 'redis_version:7.2.4\r\nvalkey_version:10.0.0', 'other:1']) {
    t.same(checkVersion(`# Server\r\n${version}\r\n`, ''), [], version)
  }
  t.match(checkVersion('redis_version:7.2.4\r\nvalkey_version:1.0\r\n', ''), [{ text: /^Valkey 1\.0/ }])
})

/** Starts a Redis with TLS and a self-signed certificate. */
async function startTls (t: Test): Promise<{ port: number, ca: string }> {
  const folder = await tempFolder(t)
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1',
    '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], { stdio: 'ignore' })
  const port = await freePort()
  await startRedis(t, ['--tls-port', String(port), '--tls-key-file', key, '--tls-cert-file', cert, '--tls-auth-clients', 'no'])
  return { port, ca: cert }
}
