import t from 'tap'
import { guest, startRedis, type PrivateRedis } from '../support/helper.ts'
import { basic, buildOauth, errorOf, nextShopKey, readerKey, refreshForm, REVOKE, send, shopKey, TOKEN } from './helper.ts'

// The clients of both OAuth routes: public and confidential ones (RFC 6749 section 2.3).

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const device = { device_id: guest.deviceId }

t.test('a public client names itself in the body, and only its own sessions are refreshed', async t => {
  const service = await buildOauth(t, redis)
  const { refreshToken } = await service.open({ clientId: 'app' })
  for (const client of [{}, { client_id: 'other' }, { client_id: 'App' }, { client_id: ' app' }]) {
    t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, { ...device, ...client }))), [400, 'invalid_grant'])
  }
  t.equal(service.metrics.refreshes.client_mismatch, 4)
  t.equal((await service.refresh(refreshToken)).statusCode, 400, 'the documented endpoint knows no client')
  t.same(errorOf(await send(service, TOKEN, refreshForm(refreshToken, device), basic('shop', shopKey))), [400, 'invalid_grant'])
  t.equal((await send(service, TOKEN, refreshForm(refreshToken, { ...device, client_id: 'app' }))).statusCode, 200)
  const { refreshToken: anybodys } = await service.open({ userId: 2 })
  t.equal((await send(service, TOKEN, refreshForm(anybodys, { ...device, client_id: 'any' }))).statusCode, 200)
})

t.test('a confidential client authenticates with its key of the internal API', async t => {
  const service = await buildOauth(t, redis)
  let { refreshToken } = await service.open({ clientId: 'shop' })
  const accepted: Array<[Record<string, string>, Record<string, string>]> = [
    [{}, basic('shop', shopKey)],
    [{ client_id: 'shop' }, basic('shop', nextShopKey)],
    [{}, { authorization: `basic ${Buffer.from(`shop:${shopKey}`).toString('base64')}` }]
  ]
  for (const [parameters, headers] of accepted) {
    const response = await send(service, TOKEN, refreshForm(refreshToken, { ...device, ...parameters }), headers)
    t.equal(response.statusCode, 200)
    refreshToken = response.json().refresh_token
  }
  const refused: Array<[name: string, Record<string, string>, Record<string, string>]> = [
    ['no authentication', { client_id: 'shop' }, {}],
    ['a wrong key', {}, basic('shop', `${shopKey}x`)],
    ['the key of another caller', {}, basic('shop', readerKey)],
    ['the name of another caller', {}, basic('reader', shopKey)],
    ['a key without the scope', {}, basic('reader', readerKey)],
    ['the key of all scopes', {}, basic('default', service.config.INTERNAL_API_KEY!)],
    ['another client in the body', { client_id: 'app' }, basic('shop', shopKey)],
    ['the secret in the body', { client_id: 'shop', client_secret: shopKey }, {}],
    ['the secret twice', { client_secret: shopKey }, basic('shop', shopKey)],
    ['a secret of a public client', { client_id: 'app', client_secret: 'x' }, {}],
    ['another scheme', {}, { authorization: `Bearer ${shopKey}` }],
    ['an empty header', { client_id: 'app' }, { authorization: '' }],
    ['a caller that is no client, as a public client', { client_id: 'reader' }, {}]
  ]
  for (const [name, parameters, headers] of refused) {
    for (const url of [TOKEN, REVOKE]) {
      const form = { ...refreshForm(refreshToken, { ...device, ...parameters }), token: refreshToken }
      const response = await send(service, url, form, headers)
      t.same(errorOf(response), [401, 'invalid_client'], `${url}: ${name}`)
      t.match(response.headers, { 'www-authenticate': 'Basic realm="refresh-token-service"', 'cache-control': 'no-store' })
    }
  }
  t.equal(service.metrics.refreshes.invalid_client, refused.length)
  t.equal(service.metrics.logouts.invalid_client, refused.length)
  t.equal((await send(service, TOKEN, refreshForm(refreshToken, device), basic('shop', shopKey))).statusCode, 200, 'the session is unharmed')
  for (const key of [shopKey, nextShopKey, readerKey]) t.notOk(JSON.stringify(service.log).includes(key), 'no key is in the log')
})
