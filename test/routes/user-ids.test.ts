import t from 'tap'
import { apiKey, build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { validatorFor } from '../validator/helper.ts'

/** Users whose ids are texts: every answer, token, header and event has the id as the login service gave it. */

let redis: PrivateRedis
let service: Service
t.before(async () => {
  redis = await startRedis(t)
  service = await build(t, redis)
})

const inspect = async (url: string, token: string): Promise<string> => {
  const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded' }
  return (await service.internal.inject({ method: 'POST', url, headers, payload: `token=${token}` })).body
}

for (const userId of ['user_01h455vb4pex5vsknk084sn02q', '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'auth0|5f7c@a~b.c', `a${'b'.repeat(127)}`, 'events', 9007199254740991]) {
  const json = JSON.stringify(userId)

  t.test(`the id ${json} keeps its type`, async t => {
    const path = `/internal/users/${encodeURIComponent(userId)}`
    const opened = await service.open({ userId })
    t.equal(opened.id, userId)
    const { sid } = claimsOf(opened.refreshToken)
    for (const token of [opened.token, opened.refreshToken]) t.equal(claimsOf(token).id, userId)
    t.equal(await redis.client.hexists(`${service.config.REDIS_PREFIX}${userId}`, `s:${sid}`), 1)

    t.match((await service.call('GET', `${path}/sessions`)).json(), { sessions: [{ sid, generation: 1 }] })
    t.equal((await service.call('PATCH', path, { role: 'ADMIN' })).statusCode, 204)
    const refreshed = await service.refresh(opened.refreshToken)
    t.equal(refreshed.statusCode, 200)
    t.ok(refreshed.body.startsWith(`{"id":${json},"email":"${guest.email}","role":"ADMIN",`))

    const { token } = refreshed.json()
    const introspected = await inspect('/internal/introspect', token)
    t.match(JSON.parse(introspected), { active: true, sub: String(userId), id: userId })
    const headers = { 'x-internal-api-key': apiKey, authorization: `Bearer ${token}` }
    t.equal((await service.internal.inject({ url: '/internal/verify', headers })).headers['x-user-id'], String(userId))
    t.equal((await (await validatorFor(t, service)).validate(token)).id, userId)

    const subscriber = await redis.subscriber(t, `${service.config.REDIS_PREFIX}${userId}`)
    const events: string[] = []
    subscriber.on('message', (_channel, text) => { events.push(text) })
    await subscriber.subscribe(`${service.config.REDIS_PREFIX}events`)
    t.equal((await service.call('PATCH', path, { role: 'OWNER' })).statusCode, 204)
    t.equal((await service.call('DELETE', `${path}/sessions/${sid}`)).statusCode, 204)
    const { refreshToken } = await service.open({ userId })
    t.equal((await service.call('DELETE', `${path}/sessions`)).statusCode, 204)
    t.equal((await service.refresh(refreshToken)).statusCode, 400)
    await subscriber.ping()
    t.same(events, [
      `{"type":"profile","id":${json}}`,
      `{"type":"revoked","reason":"logout","id":${json},"sid":"${sid}"}`,
      `{"type":"opened","id":${json},"sid":"${claimsOf(refreshToken).sid}"}`,
      `{"type":"revoked","reason":"logout","id":${json},"sid":"${claimsOf(refreshToken).sid}"}`
    ])
  })
}

t.test('reuse is announced under the text id', async t => {
  const service = await build(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  const subscriber = await redis.subscriber(t, `${service.config.REDIS_PREFIX}a-b`)
  const events: string[] = []
  subscriber.on('message', (_channel, text) => { events.push(text) })
  await subscriber.subscribe(`${service.config.REDIS_PREFIX}events`)
  const { refreshToken } = await service.open({ userId: 'a-b' })
  await service.refresh(refreshToken)
  t.equal((await service.refresh(refreshToken)).statusCode, 400)
  await subscriber.ping()
  t.same(events, [
    `{"type":"opened","id":"a-b","sid":"${claimsOf(refreshToken).sid}"}`,
    `{"type":"revoked","reason":"reuse","id":"a-b","sid":"${claimsOf(refreshToken).sid}"}`
  ])
  t.match(service.log.filter(line => line['outcome'] === 'reused'), [{ userId: 'a-b' }])
})

t.test('a value that is no id is refused, and the answer names it', async t => {
  for (const userId of ['', '1', '007', 'a b', 'a:b', '{a}', 'a\n', 'a\u0000', '-a', 'é', `a${'b'.repeat(128)}`, ['a'], { a: 1 }]) {
    const response = await service.call('POST', '/internal/sessions', { ...guest, userId })
    t.equal(response.statusCode, 400, JSON.stringify(userId))
    t.match(response.json().message, /^Bad Request: body\/userId must /)
  }
  for (const id of ['007', 'a%20b', 'a:b', '%7Ba%7D', 'a%0a', '-a', '%C3%A9', `a${'b'.repeat(128)}`, 'x'.repeat(1024)]) {
    for (const [method, path] of [['GET', '/sessions'], ['DELETE', '/sessions'], ['DELETE', `/sessions/${'A'.repeat(22)}`]] as const) {
      const response = await service.call(method, `/internal/users/${id}${path}`)
      t.equal(response.statusCode, 400, `${method} ${id}`)
      t.match(response.json().message, /^Bad Request: params\/userId must /)
    }
    t.match((await service.call('PATCH', `/internal/users/${id}`, { role: 'ADMIN' })).json().message, /^Bad Request: params\/userId must /)
  }
})
