import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { claimsOf, guest, startRedis, until, type PrivateRedis, type Service } from '../support/helper.ts'
import { buildOauth, errorOf, refreshForm, REVOKE, send, TOKEN } from './helper.ts'

// The cases of RFC 9700 section 4.14 that no other test of this folder has; docs/oauth.md lists all of them.

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const more = { device_id: guest.deviceId, client_id: 'app' }
const refused = [400, 'invalid_grant']

/** Refreshes once, and returns the next refresh token. */
async function refresh (service: Service, refreshToken: string): Promise<string> {
  return (await send(service, TOKEN, refreshForm(refreshToken, more))).json().refresh_token
}

t.test('a replayed token ends the session', async t => {
  const service = await buildOauth(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  const { refreshToken } = await service.open({ clientId: 'app' })
  const next = await refresh(service, refreshToken)
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, more))), refused)
  t.same(errorOf(await send(service, TOKEN, refreshForm(next, more))), refused)
  t.same(service.log.filter(({ audit }) => audit === 'session.ended').map(({ reason }) => reason), ['reuse'])
})

t.test('a thief who refreshes first is detected when the client refreshes next', async t => {
  const service = await buildOauth(t, redis, { REFRESH_RETRY_WINDOW: '0' })
  const { refreshToken } = await service.open({ clientId: 'app' })
  const stolen = await refresh(service, await refresh(service, refreshToken))
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, more))), refused)
  t.same(errorOf(await send(service, TOKEN, refreshForm(stolen, more))), refused)
})

t.test('a forged or changed token is an invalid_grant', async t => {
  const service = await buildOauth(t, redis)
  const { token, refreshToken } = await service.open({ clientId: 'app' })
  const [header, , signature] = refreshToken.split('.')
  const changed = Buffer.from(JSON.stringify({ ...claimsOf(refreshToken), gen: 9 })).toString('base64url')
  for (const forged of ['x', token, `${header}.${changed}.${signature}`, `${refreshToken}A`]) {
    t.same(errorOf(await send(service, TOKEN, refreshForm(forged, more))), refused)
  }
  t.equal(service.metrics.refreshes.forged, 4)
  t.ok(await refresh(service, refreshToken), 'the session is unharmed')
})

t.test('a token of an ended session is an invalid_grant', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ clientId: 'app' })
  await send(service, REVOKE, { token: refreshToken, ...more })
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, more))), refused)
  const { refreshToken: other } = await service.open({ clientId: 'app' })
  await service.call('DELETE', `/internal/users/${guest.userId}/sessions`)
  t.same(errorOf(await send(service, TOKEN, refreshForm(other, more))), refused)
})

t.test('a token of an expired session is an invalid_grant', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ clientId: 'app', idleTtl: 1 })
  const { sid } = claimsOf(refreshToken)
  await until('the session is gone', async () => await service.public.store.find(guest.userId, sid) === undefined)
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, more))), refused)
})

t.test('every row of the table in docs/oauth.md names a test of this folder', async t => {
  const [, table = ''] = (await readFile('docs/oauth.md', 'utf8')).split('## RFC 9700, section 4.14')
  const named = [...table.matchAll(/`([^`]+)` \|$/gm)].map(([, title]) => title!)
  t.equal(named.length, 11)
  const files = (await readdir('test/oauth')).filter(name => name.endsWith('.test.ts'))
  const texts = await Promise.all(files.map(async name => await readFile(`test/oauth/${name}`, 'utf8')))
  for (const title of named) t.ok(texts.some(text => text.includes(`t.test('${title}'`)), title)
})
