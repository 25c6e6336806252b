import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { build, claimsOf, guest, startRedis } from '../support/helper.ts'

/** A command that names a script by its hash, as ioredis sends it. */
const BY_HASH = /(?=\*\d+\r\n\$7\r\nevalsha\r\n)/

t.test('a script that Redis forgets twice within a call is sent again', async t => {
  const redis = await startRedis(t)
  let flushes = 0
  const proxy = createServer(client => {
    const server = connect(new URL(redis.url).pathname)
    let forwarding = Promise.resolve()
    const forward = async (data: string): Promise<void> => {
      // Redis refuses the whole first batch, because it has no script; ioredis then sends the source once, and the rest by hash.
      for (const part of flushes === 3 ? [data] : data.split(BY_HASH)) {
        if (flushes > 0 && BY_HASH.test(part)) {
          flushes--
          await redis.client.script('FLUSH')
        }
        server.write(part)
      }
    }
    client.setEncoding('utf8').on('data', data => { forwarding = forwarding.then(async () => await forward(String(data))) })
    server.on('data', data => client.write(data))
    for (const [socket, other] of [[client, server], [server, client]] as const) socket.on('error', () => {}).on('close', () => other.destroy())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close() })
  const service = await build(t, { url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}` })
  const users = await Promise.all([1, 2, 3].map(async userId => await service.open({ userId })))
  const { store } = service.public
  // Calls of one turn share a write, except refreshes, which share a call.
  const count = async (): Promise<number[]> => await Promise.all(users.map(async ({ id }) => (await store.list(id)).length))
  t.same(await count(), [1, 1, 1])
  flushes = 3
  t.same(await count(), [1, 1, 1])
  t.equal(flushes, 0)

  const rotate = async (): Promise<string[]> => await Promise.all(users.map(async ({ refreshToken }) =>
    (await store.rotate(claimsOf(refreshToken), guest.deviceId)).outcome))
  t.same(await rotate(), ['rotated', 'rotated', 'rotated'])
  flushes = 1
  t.same(await rotate(), ['retried', 'retried', 'retried'])
  t.equal(flushes, 0)
})
