import { EventEmitter } from 'node:events'
import type { Server } from 'node:net'
import t from 'tap'
import { limitConnectionsPerAddress } from '#src/overload/connections-per-address'
import { measurable, measureNow } from '../support/memory.ts'
import { build, environment, postRefresh, postSession, startRedis, startService, until, type PrivateRedis, type ServiceProcess } from '../support/helper.ts'
import { open, openMany, pipelineUnread, portOf } from '../support/sockets.ts'

/** Clients that open too many connections or fill their buffers do not affect other clients. */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

/** Bytes that the memory of a process may grow by; V8 reserves most of them when many requests come together. */
const MEMORY_SLACK = 150 * 2 ** 20

async function residentMemory ({ internalUrl }: ServiceProcess): Promise<number> {
  const metrics = await (await fetch(`${internalUrl}/metrics`)).text()
  return Number(/^process_resident_memory_bytes (\d+)/m.exec(metrics)![1])
}

t.test('clients that pipeline a mebibyte each and read nothing are disconnected, and memory stays bounded', async t => {
  const env = environment(redis.url, { LOG_LEVEL: 'info', NODE_OPTIONS: `${measurable.NODE_OPTIONS} --max-old-space-size=256` })
  const service = await startService(t, env)
  let { refreshToken } = await postSession(service.internalUrl)
  // Retries after a 500, as every client has to; a busy machine may cause one.
  const refresh = async (): Promise<void> => {
    for (;;) {
      const response = await postRefresh(service.publicUrl, refreshToken)
      const body = await response.json() as { refreshToken: string }
      if (response.status === 500) continue
      t.equal(response.status, 200)
      refreshToken = body.refreshToken
      return
    }
  }
  await refresh()
  const before = await residentMemory(service)
  for (const url of [service.publicUrl, service.internalUrl]) {
    pipelineUnread(t, portOf(url), '/', 120)
    let [most, sockets] = [0, Infinity]
    const deadline = performance.now() + 120_000
    // Up to 10 sockets are the keep-alive connections of fetch.
    while (sockets > 10 && performance.now() < deadline) {
      await refresh()
      most = Math.max(most, await residentMemory(service))
      sockets = (await measureNow(service)).sockets
    }
    t.ok(sockets <= 10, `${sockets} of 120 are held`)
    t.ok(most < before + MEMORY_SLACK, `${before} → ${most} bytes`)
  }
  t.equal(service.child.exitCode ?? service.child.signalCode, null)
})

t.test('closes connections above the limit of an address at once, and serves other addresses', async t => {
  const service = await build(t, redis, { MAX_CONNECTIONS_PER_ADDRESS: '3', TRUST_PROXY: '127.0.0.9' })
  const port = portOf(await service.public.listen({ host: '127.0.0.1', port: 0 }))
  const held = await openMany(t, port, 10)
  t.equal(held.length, 3)
  const answered = async (localAddress: string): Promise<boolean> => {
    const socket = open(t, port, localAddress)
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    let answer = ''
    try {
      for await (const chunk of socket) answer += chunk
    } catch {}
    return answer.startsWith('HTTP/1.1 404')
  }
  t.ok(await answered('127.0.0.2'))
  t.notOk(await answered('127.0.0.1'))
  for (const proxied of [1, 2, 3, 4, 5]) t.ok(await answered('127.0.0.9'), `connection ${proxied} of a trusted proxy`)
  held[0]!.destroy()
  await until('a new connection is served', async () => await answered('127.0.0.1'))

  for (const socket of held) socket.destroy()
  await service.public.close()
  const lines = service.log.filter(({ msg }) => msg === 'requests were turned away')
  const counted = lines.map(({ turnedAway }) => (turnedAway as { address_connections: number }).address_connections)
  t.ok(counted.reduce((sum, count) => sum + count) >= 8)
  t.ok(lines.length <= 10, 'at most one line a second')
})

t.test('MAX_CONNECTIONS_PER_ADDRESS is 1000 by default, and 0 means no limit', async t => {
  const listeners = async (overrides?: Record<string, string>): Promise<number> =>
    (await build(t, redis, overrides)).public.server.listenerCount('connection')
  t.equal((await build(t, redis)).config.MAX_CONNECTIONS_PER_ADDRESS, 1000)
  t.equal(await listeners() - await listeners({ MAX_CONNECTIONS_PER_ADDRESS: '0' }), 1)
})

t.test('counts IPv6 clients by /64, and IPv4 clients by address in either spelling', t => {
  const server = new EventEmitter()
  const closed: string[] = []
  limitConnectionsPerAddress(server as Server, 1, address => address === '10.0.0.1', () => {})
  const arrive = (remoteAddress?: string): EventEmitter => {
    const socket = Object.assign(new EventEmitter(), { remoteAddress, destroy: () => { closed.push(remoteAddress!) } })
    server.emit('connection', socket)
    return socket
  }
  for (const address of ['2001:db8::1', '2001:db8:0:1::1', '192.0.2.1', '192.0.2.2', '10.0.0.1', '10.0.0.1', undefined, undefined]) arrive(address)
  t.same(closed, [])
  for (const address of ['2001:db8::2', '::ffff:192.0.2.1']) arrive(address)
  t.same(closed, ['2001:db8::2', '::ffff:192.0.2.1'])
  arrive('192.0.2.3').emit('close')
  arrive('192.0.2.3')
  t.equal(closed.length, 2)
  t.end()
})
