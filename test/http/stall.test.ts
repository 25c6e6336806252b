import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { environment, guest, postRefresh, postSession, startRedis, startService, until, type ServiceProcess, type TokensBody } from '../support/helper.ts'

/** Milliseconds that the process is frozen: longer than the timeout after which its clients count as gone. */
const STANDSTILL = 1500

/** Connections that wait before the last one; a system with a shorter queue can't hold them. */
const QUEUE = 1500

/** The outcomes of a service's refreshes, sorted. */
async function outcomes ({ internalUrl }: ServiceProcess): Promise<string[]> {
  const metrics = await (await fetch(`${internalUrl}/metrics`)).text()
  return [...metrics.matchAll(/^rts_refresh_requests_total\{outcome="(\w+)"\} (\d+)$/gm)]
    .flatMap(([, outcome, count]) => Array<string>(Number(count)).fill(outcome!)).sort()
}

t.test('requests that waited in a frozen process have no effect when it continues', async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, { LOG_LEVEL: 'info' })
  const [frozen, other] = await Promise.all([startService(t, env), startService(t, env)])
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => { agent.destroy() })
  const send = async (refreshToken: string, connection: Agent | false): Promise<() => void> => {
    const sent = request(`${frozen.publicUrl}/api/ps/refresh`, { method: 'POST', agent: connection, headers: { 'content-type': 'application/json' } })
    sent.on('error', () => {}).on('response', response => response.resume())
    sent.end(JSON.stringify({ deviceId: guest.deviceId, refreshToken }))
    await once(sent, 'finish')
    return () => { sent.destroy() }
  }

  const sessions = await Promise.all([1, 2].map(async userId => await postSession(frozen.internalUrl, { userId })))
  const warm = request(`${frozen.publicUrl}/`, { agent }).end()
  const [response] = await once(warm, 'response')
  await once(response.resume(), 'end')

  frozen.child.kill('SIGSTOP')
  // One on a connection that the process has accepted, one on a connection that only the kernel has accepted.
  const giveUp = [await send(sessions[0]!.refreshToken, agent), await send(sessions[1]!.refreshToken, false)]
  await delay(STANDSTILL)
  for (const close of giveUp) close()

  const refresh = async (refreshToken: string): Promise<string> => {
    const response = await postRefresh(other.publicUrl, refreshToken)
    t.equal(response.status, 200)
    return (await response.json() as TokensBody).refreshToken
  }
  // The clients refresh twice at another replica.
  const later = await Promise.all(sessions.map(async ({ refreshToken }) => await refresh(await refresh(refreshToken))))
  frozen.child.kill('SIGCONT')
  await until('both requests that waited are answered', async () => (await outcomes(frozen)).length >= 2)
  t.same(await outcomes(frozen), ['unavailable', 'unavailable'], 'they had no effect')
  const last = await Promise.all(later.map(refresh))

  await until('refreshes are answered again', async () => (await postRefresh(frozen.publicUrl, last[0]!)).status !== 500)
  t.equal((await postRefresh(frozen.publicUrl, last[1]!)).status, 200)
  frozen.child.kill('SIGTERM')
  t.same(await frozen.exited, [0, null])
})

const hasRoom = process.platform === 'linux' && Number(readFileSync('/proc/sys/net/core/somaxconn')) > QUEUE

t.test(`a request behind ${QUEUE} connections that wait in a frozen process has no effect`, { skip: !hasRoom }, async t => {
  const redis = await startRedis(t)
  const service = await startService(t, environment(redis.url, { LOG_LEVEL: 'info', MAX_CONNECTIONS_PER_ADDRESS: '0' }))
  const { refreshToken } = await postSession(service.internalUrl)
  service.child.kill('SIGSTOP')
  const { port } = new URL(service.publicUrl)
  const queue = await Promise.all(Array.from({ length: QUEUE }, async () => {
    const socket = connect(Number(port), '127.0.0.1').on('error', () => {})
    await once(socket, 'connect')
    return socket
  }))
  t.teardown(() => { for (const socket of queue) socket.destroy() })
  const answer = postRefresh(service.publicUrl, refreshToken)
  await delay(STANDSTILL)
  service.child.kill('SIGCONT')
  t.equal((await answer).status, 500)
  t.same(await outcomes(service), ['unavailable'])
})
