import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { watchConnections, type Connections } from '#src/http/connections'
import { drain } from '#src/http/drain'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** Clients that waste a connection: they read no answer, pipeline without reading, or do not close. */

const badRequest = '{"code":400,"message":"Bad Request"}'
const internalError = '{"code":500,"message":"Internal Error"}'

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

async function listen (t: Test): Promise<{ service: Service, port: number }> {
  const service = await build(t, redis)
  return { service, port: Number(new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })).port) }
}

/** A client that keeps its half of the connection open when the service ends. */
function open (t: Test, port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {}).setEncoding('latin1')
  t.teardown(() => { socket.destroy() })
  return socket
}

/** Reads until the service ends the connection. */
async function read (socket: Socket): Promise<string> {
  let all = ''
  socket.on('data', data => { all += data }).resume()
  await once(socket, 'end')
  return all
}

const statuses = (answers: string): string[] => answers.match(/HTTP\/1\.1 \d+/g) ?? []

t.test('of pipelined requests 33 are answered, the next gets a 500, and the rest get no answer', async t => {
  const { service, port } = await listen(t)
  const { refreshToken } = await service.open()
  let requests = 0
  service.public.server.on('request', () => { requests++ })
  const body = JSON.stringify({ deviceId: guest.deviceId, refreshToken })
  const refresh = `POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const client = open(t, port)
  client.write(refresh + 'GET /x HTTP/1.1\r\n\r\n'.repeat(32) + refresh + 'GET / HTTP/1.1\r\n\r\n'.repeat(3000))
  const answers = await read(client)
  t.same(statuses(answers), ['HTTP/1.1 200', ...Array(32).fill('HTTP/1.1 404'), 'HTTP/1.1 500'])
  t.ok(answers.endsWith(`\r\n\r\n${internalError}`))
  t.match(answers, /\r\nConnection: close\r\n[^\n]*\r\n[^\n]*\r\n[^\n]*\r\n\r\n[^\r]*$/)
  t.equal(requests, 34, 'Node parsed no more requests')
  const { sid } = claimsOf(refreshToken)
  t.match(await redis.client.hget(`${service.config.REDIS_PREFIX}1`, `s:${sid}`), /^002:/, 'the 500 changed nothing')
  t.equal(service.metrics.refreshes.overloaded, 1)
  await service.public.close()
  t.match(service.log.filter(({ msg }) => msg === 'requests were turned away'), [{ turnedAway: { pipelined: 1 } }])
})

t.test('a client that reads its answers may pipeline without limit', async t => {
  const { port } = await listen(t)
  const client = open(t, port)
  let answers = ''
  client.on('data', data => { answers += data })
  for (let round = 1; round <= 10; round++) {
    client.write('GET /x HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(20))
    while (statuses(answers).length < 20 * round) await once(client, 'data')
  }
  t.same(new Set(statuses(answers)), new Set(['HTTP/1.1 404']))
})

t.test('closes connections of clients that ignore the end of the connection after an invalid or late request', async t => {
  const { service, port } = await listen(t)
  const ends: Array<Promise<unknown>> = []
  service.public.server.on('connection', socket => { ends.push(once(socket, 'close')) })
  service.public.server.headersTimeout = 500
  const clients = Array.from({ length: 50 }, (_, i) => {
    const client = open(t, port)
    client.write(i % 2 === 0 ? 'nonsense\r\n\r\n' : 'POST /api/ps/refresh HTTP/1.1\r\n')
    return client
  })
  for (const [i, answer] of (await Promise.all(clients.map(read))).entries()) {
    t.ok(answer.endsWith(`\r\n\r\n${i % 2 === 0 ? badRequest : internalError}`))
  }
  t.equal(ends.length, 50)
  await Promise.all(ends)
})

t.test('a client that ignores the end of the connection does not delay a shutdown', async t => {
  const service = await build(t, redis)
  // Without the check every second, which would close it later.
  service.public.server.removeAllListeners('listening')
  const port = Number(new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })).port)
  const client = open(t, port)
  client.write('nonsense\r\n\r\n')
  t.ok((await read(client)).endsWith(badRequest))
  await drain(service.public, 600_000)
})

t.test('a client that sends bytes after an invalid request still gets the answer', async t => {
  const { service, port } = await listen(t)
  const client = open(t, port)
  client.pause()
  client.write(`GET /x HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n${'x'.repeat(2 ** 20)}`)
  const [socket] = await once(service.public.server, 'connection') as [Socket]
  while (!socket.writableFinished) await delay(5)
  service.public.connections.check()
  service.public.connections.check()
  t.ok(socket.destroyed)
  const answers = await read(client)
  t.same(statuses(answers), ['HTTP/1.1 404', 'HTTP/1.1 400'])
  t.ok(answers.endsWith(badRequest))
  await service.public.close()
  const lines = service.log.filter(({ msg }) => msg === 'requests were refused')
  t.match(lines, [{ refused: { HPE_INVALID_METHOD: 1 } }], 'counted once')
})

t.test('a client that stops reading its answers is disconnected, and counted in the log', async t => {
  const { service, port } = await listen(t)
  const client = open(t, port)
  client.pause()
  const [socket] = await once(service.public.server, 'connection') as [Socket]
  socket.write(Buffer.alloc(2 ** 26)) // more than the kernel buffers
  while (!socket.destroyed) service.public.connections.check()
  await service.public.close()
  t.match(service.log.filter(({ msg }) => msg === 'requests were turned away'), [{ turnedAway: { unread: 1 } }])
})

t.test('the rest of a request that timed out has no effect', async t => {
  const { service, port } = await listen(t)
  service.public.server.headersTimeout = service.public.server.requestTimeout = 500
  const { refreshToken } = await service.open()
  const body = JSON.stringify({ deviceId: guest.deviceId, refreshToken })
  const client = open(t, port)
  client.write(`POST /api/ps/refresh HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, -1)}`)
  const [socket] = await once(service.public.server, 'connection') as [Socket]
  t.ok((await read(client)).endsWith(internalError))
  client.end(body.slice(-1))
  await once(socket, 'close')
  const { sid } = claimsOf(refreshToken)
  t.match(await redis.client.hget(`${service.config.REDIS_PREFIX}1`, `s:${sid}`), /^001:/)
})

function * chunks (): Generator<Buffer> {
  for (let i = 0; i < 1000; i++) yield Buffer.alloc(2 ** 15)
}

/** A server whose answer exceeds the buffers of the system, and a client that does not read. */
async function startLarge (t: Test): Promise<{ connections: Connections, counted: () => number, socket: Socket, client: Socket }> {
  let stuck = 0
  const server: Server = createServer((_request, response) => { Readable.from(chunks()).pipe(response) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // The server listens already, so it makes no checks itself: the test makes them all.
  const connections = watchConnections(server, () => { stuck++ })
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const client = open(t, (server.address() as AddressInfo).port)
  client.pause()
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  const [socket] = await once(server, 'connection') as [Socket]
  while (socket.writableLength === 0) await delay(5)
  return { connections, counted: () => stuck, socket, client }
}

/** Resolves when the buffers of the system are full. */
async function settle (socket: Socket): Promise<void> {
  for (let before = -1; ;) {
    const taken = socket.bytesWritten - socket.writableLength
    if (taken === before) return
    before = taken
    await delay(100)
  }
}

t.test('closes the connection of a client that reads nothing for ten checks', async t => {
  const { connections, counted, socket, client } = await startLarge(t)
  await settle(socket)
  for (let i = 0; i < 10; i++) connections.check()
  t.same([socket.destroyed, counted()], [false, 0])
  connections.check()
  t.same([socket.destroyed, counted()], [true, 1])
  // The client sees an end or, when it still had to read, an error.
  const ended = Promise.race(['end', 'error'].map(async name => await new Promise(resolve => { client.once(name, resolve) })))
  client.resume()
  await ended
})

t.test('keeps the connection of a client that reads slowly', async t => {
  const { connections, counted, socket, client } = await startLarge(t)
  for (let round = 0; round < 3; round++) {
    await settle(socket)
    const taken = socket.bytesWritten - socket.writableLength
    for (let i = 0; i < 10; i++) connections.check()
    while (socket.bytesWritten - socket.writableLength < taken + 2 ** 16) {
      client.read()
      await delay(5)
    }
  }
  t.same([socket.destroyed, counted()], [false, 0])
})
