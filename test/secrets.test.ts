import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { apiKey, build, guest, startRedis } from './support/helper.ts'

/** No token, secret or key is written to Redis or to the log, at the most verbose log level. */

t.test('nothing secret is in Redis, in its append-only file or in the log', async t => {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  const secrets = [apiKey, service.config.ACCESS_TOKEN_SECRETS!, service.config.REFRESH_TOKEN_SECRETS]
  const tokens: string[] = []

  const opened = await service.open({ deviceId: 'a very own identifier' })
  const key = { 'idempotency-key': '"a very own key"' }
  const rotated = (await service.refresh(opened.refreshToken, 'a very own identifier', key)).json()
  const retried = (await service.refresh(opened.refreshToken, 'a very own identifier', key)).json()
  const third = (await service.refresh(rotated.refreshToken, 'a very own identifier')).json()
  for (const { token, refreshToken } of [opened, rotated, retried, third]) tokens.push(token, refreshToken)

  // Requests that are refused, one for each cause.
  await service.refresh(third.refreshToken, 'another')
  await service.refresh(third.refreshToken, 'a very own identifier', { 'idempotency-key': '"a very own key' })
  await service.refresh(`${third.refreshToken}x`)
  await service.logOut(third.refreshToken, 'another')
  await service.logOut(`${third.refreshToken}x`, 'a very own identifier')
  await service.refresh(opened.refreshToken, 'a very own identifier')
  await service.logOut(third.refreshToken, 'a very own identifier')
  await service.refresh(third.refreshToken, 'a very own identifier')
  for (const payload of [third.refreshToken, `{"deviceId":"x","refreshToken":"${third.refreshToken}`, `"${third.refreshToken}"`]) {
    for (const url of ['/api/ps/refresh', '/api/ps/logout']) {
      await service.public.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json' } })
    }
  }
  await service.public.inject({ method: 'POST', url: `/api/ps/refresh?refreshToken=${third.refreshToken}`, payload: {} })
  await service.public.inject({ method: 'POST', url: '/api/ps/refresh', headers: { authorization: `Bearer ${third.refreshToken}` }, payload: {} })
  await service.call('POST', '/internal/sessions', { ...guest, role: third.refreshToken })
  await service.internal.inject({ url: '/internal/users/1/sessions', headers: { authorization: `Bearer ${apiKey}x` } })

  const stored = await Promise.all((await readdir(join(redis.folder, 'appendonlydir'))).map(async file =>
    await readFile(join(redis.folder, 'appendonlydir', file), 'latin1')))
  const kept = await service.open()
  tokens.push(kept.token, kept.refreshToken)
  for (const key of await redis.client.keys('*')) stored.push(JSON.stringify(await redis.client.hgetall(key)))
  await redis.kill()
  await service.refresh(kept.refreshToken)
  await service.internal.inject('/readyz')

  t.ok(stored.join('').includes(guest.email), 'the append-only file holds the session')
  t.ok(service.log.some(({ level }) => level === 50))
  for (const place of [stored.join('\n'), JSON.stringify(service.log)]) {
    for (const secret of secrets) t.notOk(place.includes(secret))
    for (const token of tokens) {
      const [, payload, signature] = token.split('.') as [string, string, string]
      t.notOk(place.includes(signature) || place.includes(payload))
    }
    t.notOk(place.includes('a very own identifier'), 'no device identifier')
    t.notOk(place.includes('a very own key'), 'no Idempotency-Key')
  }
  t.notOk(JSON.stringify(service.log).includes(guest.email), 'no e-mail address in the log')
})
