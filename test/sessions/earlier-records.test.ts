import { createHmac } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { parseKeys } from '#src/tokens/keys'
import { build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'

/** Sessions that an earlier version opened go on, and readers take the parts of a session that they know. */

/**
 * A session opened and refreshed once by the version before generations were filled up with zeros, with lifetimes of a century: the
 * record, and the bytes of both refresh tokens. The signatures are made here, because no file contains a secret.
 */
interface Earlier { deviceId: string, header: string, payloads: [first: string, second: string], record: Record<string, string> }

const earlier: Earlier = JSON.parse(await readFile('test/support/fixtures/session-of-0.1.0.json', 'utf8'))

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const field = Object.keys(earlier.record).find(name => name.startsWith('s:'))!
const sid = field.slice(2)

interface Setup { service: Service, key: string, first: string, second: string }

async function setup (t: Test, value = earlier.record[field]!): Promise<Setup> {
  const service = await build(t, redis, { REFRESH_IDLE_TTL: '3153600000', REFRESH_ABSOLUTE_TTL: '3153600000' })
  const { REDIS_PREFIX, REFRESH_TOKEN_SECRETS: secret } = service.config
  const key = `${REDIS_PREFIX}${guest.userId}`
  await redis.client.hset(key, { ...earlier.record, [field]: value })
  const [first, second] = earlier.payloads.map(payload => {
    const header = earlier.header.replace('<kid>', parseKeys(secret)[0].kid)
    const input = [header, payload].map(part => Buffer.from(part).toString('base64url')).join('.')
    return `${input}.${createHmac('sha512', secret).update(input).digest('base64url')}`
  }) as [string, string]
  return { service, key, first, second }
}

t.test('the record of an earlier version has five parts, and no zeros before the generation', async t => {
  t.match(earlier.record[field], /^2(:\d{10}){3}:[\w-]{16}$/)
})

t.test('a session of an earlier version is found, listed and refreshed', async t => {
  const { service, key, second } = await setup(t)
  t.match(await service.internal.store.find(guest.userId, sid), { gen: 2, email: guest.email, role: guest.role })
  t.match((await service.call('GET', '/internal/users/1/sessions')).json(), { sessions: [{ sid, label: 'Pixel 9', generation: 2 }] })
  const { refreshToken } = (await service.refresh(second)).json()
  t.match(claimsOf(refreshToken), { id: 1, sid, gen: 3 })
  t.match(await redis.client.hget(key, field), /^003(:\d{10}){3}:[\w-]{16}$/)
  t.equal((await service.refresh(refreshToken)).statusCode, 200)
})

t.test('it takes an Idempotency-Key from its next refresh on', async t => {
  const { service, second } = await setup(t)
  const headers = { 'idempotency-key': 'a' }
  const { refreshToken } = (await service.refresh(second, guest.deviceId, headers)).json()
  t.equal((await service.refresh(second, guest.deviceId, headers)).json().refreshToken, refreshToken)
})

t.test('its used token is reuse, with a key or without', async t => {
  for (const headers of [{}, { 'idempotency-key': 'a' }]) {
    const { service, first, second } = await setup(t)
    t.equal((await service.refresh(first, guest.deviceId, headers)).statusCode, 400)
    t.equal((await service.refresh(second)).statusCode, 400, 'the session has ended')
  }
})

t.test('its device is replaced by a new log-in', async t => {
  const { service, second } = await setup(t)
  await service.open()
  t.equal((await service.refresh(second)).statusCode, 400)
})

t.test('parts after the fifth are no part of the device, and unknown parts are ignored', async t => {
  for (const more of [':AAAAAAAA', ':-', ':AAAAAAAA:-:-', ':-:1000:-', ':-:1000:2000:later:and later']) {
    const { service, second } = await setup(t, `${earlier.record[field]}${more}`)
    t.match(await service.internal.store.find(guest.userId, sid), { gen: 2 }, more)
    t.match(await service.internal.store.findRefreshable(claimsOf(second)), { session: { gen: 2 } })
    t.equal((await service.internal.store.list(guest.userId)).length, 1)
    t.equal((await service.refresh(second, 'another')).statusCode, 400)
    t.equal((await service.refresh(second)).statusCode, 200)
  }
})
