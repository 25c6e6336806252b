import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { apiKey, build, startRedis } from '../support/helper.ts'

/** Refusals that anybody can cause without a valid token are logged once a second, as counts. */

t.test('refusals without a valid token are logged as counts, refusals of valid tokens in the audit trail', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { LOG_LEVEL: 'info' })
  const port = Number(new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })).port)
  const { refreshToken } = await service.open()
  service.log.length = 0
  const began = performance.now()

  const send = async (bytes: string): Promise<void> => {
    const socket = connect(port, '127.0.0.1').resume()
    socket.write(bytes)
    await once(socket, 'close')
  }
  const authorization = `Bearer ${apiKey}x`
  for (let i = 0; i < 20; i++) {
    await service.refresh('forged')
    await service.refresh('')
    await service.public.inject({ method: 'POST', url: '/api/ps/refresh', payload: '{', headers: { 'content-type': 'application/json' } })
    await send('nonsense\r\n\r\n')
    await send('GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await service.internal.inject({ url: '/internal/verify', headers: { authorization, 'x-internal-api-key': apiKey } })
  }
  for (let i = 0; i < 3; i++) await service.refresh(refreshToken, 'another')
  await service.public.close()
  await service.internal.close()
  const seconds = Math.ceil((performance.now() - began) / 1000)

  const lines = service.log.filter(({ msg }) => msg === 'requests were refused')
  const sums: Record<string, number> = {}
  for (const { refused } of lines) {
    for (const [reason, count] of Object.entries(refused as Record<string, number>)) sums[reason] = (sums[reason] ?? 0) + count
  }
  const reasons = ['forged', 'FST_ERR_VALIDATION', 'FST_ERR_CTP_INVALID_JSON_BODY', 'HPE_INVALID_METHOD', 'FST_ERR_BAD_URL', 'RTS_ACCESS_REFUSED']
  t.same(sums, Object.fromEntries(reasons.map(reason => [reason, 20])))
  t.ok(lines.length <= 2 * (seconds + 1), `${lines.length} lines of two listeners in ${seconds} s`)
  t.ok(lines.every(({ level }) => level === 30))
  const refused = service.log.filter(({ audit }) => audit === 'token.refused')
  t.equal(refused.reduce((sum, { count }) => sum + Number(count), 0), 3)
  t.ok(refused.every(({ reason }) => reason === 'device_mismatch'))
  t.equal(service.log.length, lines.length + refused.length, 'no other line')
})
