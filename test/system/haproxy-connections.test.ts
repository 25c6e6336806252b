import { once } from 'node:events'
import t from 'tap'
import { startHaproxy, type Balancer } from '../support/haproxy.ts'
import { build, postRefresh, startRedis, type Service } from '../support/helper.ts'
import { open, openMany, pipelineUnread, portOf } from '../support/sockets.ts'

/** HAProxy with deploy/haproxy.cfg limits the connections of one client; other clients are served. */

let service: Service
let haproxy: Balancer
t.before(async () => {
  service = await build(t, await startRedis(t), { TRUST_PROXY: '127.0.0.1' })
  const address = {
    public: new URL(await service.public.listen({ port: 0, host: '127.0.0.1' })).host,
    internal: new URL(await service.internal.listen({ port: 0, host: '127.0.0.1' })).host
  }
  haproxy = await startHaproxy(t, [address, address, address])
})

t.test('an address may open 256 connections, and other addresses are served', async t => {
  const port = portOf(haproxy.publicUrl)
  t.equal((await openMany(t, port, 400)).length, 256)
  const other = open(t, port, '127.0.0.2')
  other.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  t.match(String((await once(other, 'data'))[0]), /^HTTP\/1\.1 404 /)
  t.equal(await haproxy.figure('public/FRONTEND', 'dcon'), '144')
})

t.test('clients that read no answers are disconnected, and other clients are served', async t => {
  const port = portOf(haproxy.publicUrl)
  await haproxy.until('public/FRONTEND', 'scur', count => count === '0')
  pipelineUnread(t, port, '/api/ps/x', 20)
  await haproxy.until('public/FRONTEND', 'scur', count => Number(count) >= 20)
  const { refreshToken } = await service.open()
  t.equal((await postRefresh(haproxy.publicUrl, refreshToken)).status, 200)
  await haproxy.until('public/FRONTEND', 'scur', count => Number(count) < 20)
})
