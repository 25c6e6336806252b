import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import tls, { type TLSSocket } from 'node:tls'
import { setTimeout as delay } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { redisOptions } from '#src/config/options'
import { connectRedis } from '#src/redis/connect'
import { build, tempFolder } from '../support/helper.ts'
import { startServer, type RedisServer } from '../support/redis/server.ts'
import { makeAuthority } from '../support/authority.ts'

/** TLS in a minimal Sentinel group and a minimal Cluster: every server requires a client certificate. */

const silent = pino({ level: 'silent' })

interface Tls {
  /** Starts a server that accepts only TLS on its port. The test's own client uses its socket. */
  start (name: string, lines: (port: number, bus: number) => string[], sentinel?: boolean): Promise<RedisServer>
  /** The TLS settings of the service. */
  env: { REDIS_CA_FILE: string, REDIS_CERT_FILE: string, REDIS_KEY_FILE: string }
}

async function withAuthority (t: Test): Promise<Tls> {
  const folder = await tempFolder(t)
  const { ca, issue } = await makeAuthority(folder)
  const [server, service] = [await issue('server'), await issue('service')]
  return {
    async start (name, lines, sentinel = false) {
      const socket = join(folder, `${name}.sock`)
      const started = await startServer({
        folder: join(folder, name),
        socket,
        sentinel,
        config: (port, bus) => [
          'port 0', 'bind 127.0.0.1', `unixsocket ${socket}`, `tls-port ${port}`, `tls-cert-file ${server.cert}`, `tls-key-file ${server.key}`,
          `tls-ca-cert-file ${ca}`, 'tls-replication yes', ...lines(port, bus), ''
        ].join('\n')
      })
      t.teardown(async () => await started.stop())
      return started
    },
    env: { REDIS_CA_FILE: ca, REDIS_CERT_FILE: service.cert, REDIS_KEY_FILE: service.key }
  }
}

/** Collects every TLS socket that connects from now on. */
function watchSockets (t: Test): Set<TLSSocket> {
  const { connect } = tls
  const sockets = new Set<TLSSocket>()
  tls.connect = (...args: unknown[]) => {
    const socket: TLSSocket = Reflect.apply(connect, tls, args)
    return socket.once('secureConnect', () => { setImmediate(() => { sockets.add(socket) }) })
  }
  syncBuiltinESMExports()
  t.teardown(() => {
    tls.connect = connect
    syncBuiltinESMExports()
  })
  return sockets
}

/** Asserts that the service refreshes sessions, ignores late socket errors, and can't start without a certificate. */
async function assertServes (t: Test, url: string, { env }: Tls): Promise<void> {
  const sockets = watchSockets(t)
  const service = await build(t, { url, env })
  const { refreshToken } = await service.open()
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.ok(sockets.size > 0)
  for (const socket of sockets) {
    for (const nth of ['one', 'another']) t.doesNotThrow(() => socket.emit('error', new Error(`${nth} error`)), 'late errors are ignored')
  }
  const settings = { REDIS_URL: url, REDIS_PREFIX: 'rt:' }
  await Promise.all([
    t.rejects(connectRedis(redisOptions({ ...settings, REDIS_CA_FILE: env.REDIS_CA_FILE }), silent), { name: 'StartError' }),
    t.rejects(connectRedis(redisOptions(settings), silent), { name: 'StartError' })
  ])
}

t.test('serves over TLS in a Sentinel group', async t => {
  const tls = await withAuthority(t)
  const master = await tls.start('master', () => [])
  const sentinel = await tls.start('sentinel', () => [`sentinel monitor refresh 127.0.0.1 ${master.port} 1`], true)
  await assertServes(t, `rediss+sentinel://localhost:${sentinel.port}/refresh`, tls)
})

t.test('serves over TLS in a Cluster', async t => {
  const tls = await withAuthority(t)
  const node = await tls.start('node', (_port, bus) => [
    'cluster-enabled yes', 'tls-cluster yes', `cluster-port ${bus}`, 'cluster-announce-ip 127.0.0.1'
  ])
  await node.client.cluster('ADDSLOTSRANGE', 0, 16383)
  while (!String(await node.client.cluster('INFO')).includes('cluster_state:ok')) await delay(10)
  await assertServes(t, `rediss+cluster://localhost:${node.port}`, tls)
})
