import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { build, startRedis } from '../support/helper.ts'
import { scrape } from '../support/metrics-text.ts'

/** The next scrape shows a short step of Redis's clock. */

const MONTH = 31 * 86_400

t.test('a step of a month between two scrapes is in the second scrape and in no later one', async t => {
  const redis = await startRedis(t)
  let step = 0
  // Every script replies with Redis's clock in milliseconds.
  const proxy = createServer(client => {
    const server = connect(new URL(redis.url).pathname).setEncoding('utf8')
    server.on('data', data => client.write(String(data).replace(/(?<=:)\d{13}(?=\r\n)/g, ms => String(Number(ms) + step * 1000))))
    client.on('data', data => server.write(data))
    for (const [socket, other] of [[client, server], [server, client]] as const) socket.on('error', () => {}).on('close', () => other.destroy())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close() })
  const service = await build(t, { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  const ahead = async (surface: string): Promise<number> =>
    (await scrape(service.internal)).samples.get(`rts_redis_clock_ahead_seconds{surface="${surface}"}`)!
  /** A busy machine delays replies, so their clock looks behind. */
  const isAbout = (actual: number, expected: number): boolean => Math.abs(actual - expected) < 60

  const { refreshToken } = await service.open()
  t.ok(isAbout(await ahead('public'), 0))
  step = MONTH
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  step = 0
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
  t.ok(isAbout(await ahead('public'), MONTH))
  t.ok(isAbout(await ahead('public'), 0))
  t.ok(isAbout(await ahead('internal'), 0))
})
