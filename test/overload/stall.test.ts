import { once } from 'node:events'
import { request } from 'node:http'
import { connect, createServer, type AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { environment, guest, postRefresh, postSession, startRedis, startService, until, type TokensBody } from '../support/helper.ts'

/** Milliseconds that the process is frozen: longer than the timeout after which its clients count as gone. */
const STANDSTILL = 1500

/** Milliseconds that the proxy delays Redis's replies: longer than reading the next request takes. */
const DISTANCE = 40

t.test('with rate limits, a request that waited in a frozen process has no effect', async t => {
  const redis = await startRedis(t)
  const proxy = createServer(client => {
    const server = connect(new URL(redis.url).pathname)
    server.on('data', data => { setTimeout(() => client.write(data), DISTANCE) })
    client.on('data', data => server.write(data))
    for (const [socket, other] of [[client, server], [server, client]] as const) socket.on('error', () => {}).on('close', () => other.destroy())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close() })
  const env = environment(`redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`, {
    LOG_LEVEL: 'info', SHUTDOWN_DELAY: '0', RATE_LIMIT_PER_ADDRESS: '100/60', RATE_LIMIT_PER_SESSION: '100/60'
  })
  const [frozen, other] = await Promise.all([startService(t, env), startService(t, env)])
  const { refreshToken } = await postSession(frozen.internalUrl)

  frozen.child.kill('SIGSTOP')
  const sent = request(`${frozen.publicUrl}/api/ps/refresh`, { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } })
  sent.on('error', () => {})
  sent.end(JSON.stringify({ deviceId: guest.deviceId, refreshToken }))
  await once(sent, 'finish')
  await delay(STANDSTILL)
  sent.destroy()

  const refresh = async (refreshToken: string): Promise<string> => {
    const response = await postRefresh(other.publicUrl, refreshToken)
    t.equal(response.status, 200)
    return (await response.json() as TokensBody).refreshToken
  }
  const later = await refresh(await refresh(refreshToken))
  frozen.child.kill('SIGCONT')
  const find = (): string | undefined => frozen.lines.find(line => line.includes('"reqId"'))
  await until('the request that waited is refused as late, before it is counted', () => find() !== undefined)
  t.match(JSON.parse(find()!), { msg: 'request failed', err: { code: 'RTS_STORE_UNAVAILABLE' } })
  await refresh(later)
  frozen.child.kill('SIGTERM')
  t.same(await frozen.exited, [0, null])
})
