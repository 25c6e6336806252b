import { spawn } from 'node:child_process'
import { EventEmitter, on, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { build, claimsOf, startRedis } from '../support/helper.ts'

/** examples/webhook.mjs: a signed request for each event, repeated until the receiver accepts it. */

t.test('delivers each event of the stream, signed, until it is accepted', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis, { EVENTS_STREAM: 'on' })
  const secret = `whsec_${randomBytes(24).toString('base64')}`
  const received = new EventEmitter()
  let refusals = 1
  const server = createServer(async (request, response) => {
    const body = (await request.toArray()).join('')
    const event = new Webhook(secret).verify(body, request.headers as Record<string, string>)
    const isRefused = refusals-- > 0
    response.writeHead(isRefused ? 503 : 204).end()
    received.emit('event', { id: request.headers['webhook-id'], isRefused, event })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())

  const { token } = await service.open({ userId: 'user_01' })
  // Keeps the events that come before the test asks for them.
  const events = on(received, 'event')
  const next = async (): Promise<{ id: string, isRefused: boolean, event: unknown }> => (await events.next()).value[0]
  const child = spawn(process.execPath, ['examples/webhook.mjs'], {
    env: {
      PATH: process.env.PATH,
      REDIS_URL: /^redis\+socket:\/\/(.*)$/.exec(redis.url)![1],
      WEBHOOK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      WEBHOOK_SECRET: secret,
      STREAM: `${service.config.REDIS_PREFIX}meta:events`
    },
    stdio: ['ignore', 'ignore', 'pipe']
  })
  t.teardown(() => { child.kill('SIGKILL') })
  const { id, isRefused } = await next()
  t.ok(isRefused)
  const { sid } = claimsOf(token)
  t.same(await next(), { id, isRefused: false, event: { type: 'session.opened', data: { type: 'opened', id: 'user_01', sid, caller: 'default' } } })
  await service.call('DELETE', `/internal/users/user_01/sessions/${sid}`)
  t.match(await next(), { event: { type: 'session.ended', data: { reason: 'logout', id: 'user_01', sid } } })
})
