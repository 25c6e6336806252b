import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import type { RedisClient } from '#src/redis/client'
import type { Command } from '#src/sessions/commands'
import { createEventStream } from '#src/sessions/event-stream'
import { apiKey, build, claimsOf, environment, postSession, startRedis, startService, topology, type Service } from '../support/helper.ts'

/** `EVENTS_STREAM`: an answered change is in the stream; a process that dies at any point makes no answered change without its event. */

const redis = await startRedis(t)

/** The entries of the stream, as objects. */
async function events (prefix: string): Promise<Array<Record<string, string>>> {
  for (const client of redis.clients) {
    const entries = await client.xrange(`${prefix}meta:events`, '-', '+').catch(() => [])
    if (entries.length > 0) return entries.map(([, fields]) => toObject(fields))
  }
  return []
}

function toObject (fields: string[]): Record<string, string> {
  return Object.fromEntries(fields.flatMap((name, i) => i % 2 === 0 ? [[name, fields[i + 1]!]] : []))
}

const on = { EVENTS_STREAM: 'on', REFRESH_RETRY_WINDOW: '0' }

t.test('appends openings, ends with their reason and changed profiles, and nothing for a refresh', async t => {
  const service: Service = await build(t, redis, on)
  const prefix = service.config.REDIS_PREFIX
  const first = await service.open({ deviceId: 'phone' })
  const second = await service.open({ deviceId: 'phone' })
  const { refreshToken } = (await service.refresh(second.refreshToken, 'phone')).json()
  t.equal((await events(prefix)).length, 3)
  await service.call('PATCH', '/internal/users/1', { role: 'ADMIN' })
  await service.call('PATCH', '/internal/users/9', { role: 'ADMIN' })
  t.equal((await service.refresh(second.refreshToken, 'phone')).statusCode, 400)
  t.equal((await service.refresh(refreshToken, 'phone')).statusCode, 400)
  const text = await service.open({ userId: 'user_01', deviceId: 'phone' })
  await service.call('DELETE', '/internal/users/user_01/sessions')
  const [a, b, c] = [first, second, text].map(({ token }) => claimsOf(token).sid)
  t.same(await events(prefix), [
    { type: 'opened', id: '1', sid: a, caller: 'default' },
    { type: 'ended', reason: 'replaced', id: '1', sid: a, caller: 'default' },
    { type: 'opened', id: '1', sid: b, caller: 'default' },
    { type: 'profile', id: '1', caller: 'default' },
    { type: 'ended', reason: 'reuse', id: '1', sid: b, caller: 'client' },
    { type: 'opened', id: '"user_01"', sid: c, caller: 'default' },
    { type: 'ended', reason: 'logout', id: '"user_01"', sid: c, caller: 'default' }
  ])
})

t.test('an erasure and an expiry that a reader finds are ends too', async t => {
  const service = await build(t, redis, on)
  const prefix = service.config.REDIS_PREFIX
  const sidOf = async (deviceId: string): Promise<string> => claimsOf((await service.open({ deviceId })).token).sid
  const [expired, erased] = [await sidOf('phone'), await sidOf('laptop')]
  await redis.client.hset(`${prefix}1`, `s:${expired}`, '001:1:1:2:-')
  t.equal((await service.call('GET', '/internal/users/1/sessions')).json().sessions.length, 1)
  t.equal((await service.call('DELETE', '/internal/users/1?erase=true')).statusCode, 204)
  t.same((await events(prefix)).filter(({ type }) => type === 'ended'), [
    { type: 'ended', reason: 'expired', id: '1', sid: expired, caller: 'default' },
    { type: 'ended', reason: 'logout', id: '1', sid: erased, caller: 'default' }
  ])
})

t.test('is off by default', async t => {
  const service = await build(t, redis)
  await service.open()
  t.same(await events(service.config.REDIS_PREFIX), [])
})

t.test('a change whose event can\'t be appended is answered 500', async t => {
  const service = await build(t, redis, on)
  const prefix = service.config.REDIS_PREFIX
  const { token } = await service.open()
  // Another server of a Cluster refuses.
  for (const client of redis.clients) await client.set(`${prefix}meta:events`, 'no stream').catch(() => {})
  t.equal((await service.call('DELETE', `/internal/users/1/sessions/${claimsOf(token).sid}`)).statusCode, 500)
  t.match(service.log.find(({ msg }) => msg === 'request failed'), { err: { message: /the event stream/ } })
})

t.test('a refresh that ends a session and then fails leaves the end in the stream', async t => {
  const service = await build(t, redis, on)
  const key = `${service.config.REDIS_PREFIX}1`
  const { token } = await service.open({ deviceId: 'laptop' })
  const { refreshToken } = await service.open({ deviceId: 'phone' })
  const { sid } = claimsOf(token)
  // A record without an expiry is read whole, so that the refresh finds the expired session.
  await redis.client.hset(key, `s:${sid}`, '001:1:1:2:-', 'c', 'no JSON')
  await redis.client.persist(key)
  t.equal((await service.refresh(refreshToken, 'phone')).statusCode, 500)
  t.match((await events(service.config.REDIS_PREFIX)).at(-1), { type: 'ended', reason: 'expired', sid })
})

t.test('keeps the last 100,000 events', async t => {
  const service = await build(t, redis, on)
  const key = `${service.config.REDIS_PREFIX}meta:events`
  await redis.client.eval("for i = 1, 101000 do redis.call('XADD', KEYS[1], '*', 'type', 'old') end", 1, key)
  const { token } = await service.open()
  const length = await redis.client.xlen(key)
  t.ok(length >= 100_000 && length < 100_500, `${length}`)
  const [[, newest]] = await redis.client.xrevrange(key, '+', '-', 'COUNT', 1) as [[string, string[]]]
  t.ok(newest.includes(claimsOf(token).sid), 'the new event is kept')
})

t.test('an error of Redis has no argument of a command', async t => {
  const message = 'ERR unknown command \'XADD\', with args beginning with: \'rt:1\' \'a secret\''
  const append = createEventStream({ xadd: async () => { throw new Error(message) } } as unknown as RedisClient, 'rt:')
  const command = { script: 'revoke', users: [1], caller: 'client' } as unknown as Command
  const appending = append(command, ['revoked', 0, [['logout', 'A'.repeat(22)]]])!
  await t.rejects(appending, { message: /the event stream: ERR unknown command 'XADD'$/ })
})

t.test('an end that too few replicas have is answered 500, and is in the stream', { skip: topology === 'single' ? false : 'they have replicas' }, async t => {
  const service = await build(t, redis, { ...on, REDIS_WAIT_REPLICAS: '1' })
  await t.rejects(service.public.store.open({ userId: 1, email: '', role: '' }), { code: 'RTS_NOT_REPLICATED' })
  const [opened] = await events(service.config.REDIS_PREFIX)
  t.match(opened, { type: 'opened', id: '1' })
  t.equal((await service.call('DELETE', `/internal/users/1/sessions/${opened!.sid}`)).statusCode, 500)
  t.match((await events(service.config.REDIS_PREFIX))[1], { type: 'ended', reason: 'logout', sid: opened!.sid })
})

t.test('a reuse whose event can\'t be appended fails no refresh that shares its round trip', async t => {
  const service = await build(t, redis, on)
  const { public: { store }, config: { REDIS_PREFIX: prefix } } = service
  const open = async (userId: number) => (await store.open({ userId, deviceId: 'phone', email: '', role: '' })).generation
  const [reused, other] = [await open(1), await open(2)]
  await store.rotate(reused, 'phone')
  for (const client of redis.clients) {
    await client.del(`${prefix}meta:events`).catch(() => {})
    await client.set(`${prefix}meta:events`, 'no stream').catch(() => {})
  }
  const [first, second] = await Promise.allSettled([store.rotate(reused, 'phone'), store.rotate(other, 'phone')])
  t.match(first, { status: 'rejected', reason: { message: /the event stream/ } })
  t.match(second, { value: { outcome: 'rotated' } })
})

for (const killedAfter of [1, 20, 45]) {
  t.test(`every change that was answered is in the stream, if the process is killed after ${killedAfter} of 60 answers`, async t => {
    const env = environment(redis.url, { ...redis.env, ...on, LOG_LEVEL: 'info' })
    const service = await startService(t, env)
    const answered: string[] = []
    const add = (event: string): void => {
      if (answered.push(event) === killedAfter) service.child.kill('SIGKILL')
    }
    await Promise.allSettled(Array.from({ length: 30 }, async (_, i) => {
      const { sid } = claimsOf((await postSession(service.internalUrl, { userId: i + 1 })).token)
      add(`opened ${sid}`)
      const { status } = await fetch(`${service.internalUrl}/internal/users/${i + 1}/sessions/${sid}`, {
        method: 'DELETE', headers: { Authorization: `Bearer ${apiKey}` }
      })
      if (status === 204) add(`ended ${sid}`)
    }))
    service.child.kill('SIGKILL') // a busy machine may answer fewer
    await service.exited
    t.ok(answered.length > 0)
    const appended = new Set((await events(env.REDIS_PREFIX!)).map(({ type, sid }) => `${type} ${sid}`))
    t.same(answered.filter(event => !appended.has(event)), [])
  })
}

/** The moments of a change, as the bytes between service and Redis show them. */
const points = ['before the script', 'after the script', 'before the append', 'after the append', 'after the answer'] as const

if (topology === 'single') {
  for (const point of points) {
    t.test(`a process killed ${point}`, async t => {
      let kill = (): void => {}
      const isArmed = (text: string, moment: typeof point): boolean => moment === point && armed && text !== ''
      let armed = false
      const url = await startFilter(t, (sent, moment) => {
        const what = /xadd/i.test(sent) ? 'append' : /eval/i.test(sent) ? 'script' : ''
        const isHit = what !== '' && isArmed(sent, `${moment} the ${what}` as typeof point)
        if (isHit) kill()
        return !isHit
      })
      const env = environment(url, { ...on, LOG_LEVEL: 'info' })
      const service = await startService(t, env)
      kill = () => { service.child.kill('SIGKILL') }
      const { token } = await postSession(service.internalUrl)
      const { sid } = claimsOf(token)
      armed = true
      const answer = await fetch(`${service.internalUrl}/internal/users/1/sessions/${sid}`, {
        method: 'DELETE', headers: { Authorization: `Bearer ${apiKey}` }
      }).then(({ status }) => status, () => undefined)
      kill()
      await service.exited

      const isEnded = await redis.client.hget(`${env.REDIS_PREFIX}1`, `s:${sid}`) === null
      const isInStream = (await events(env.REDIS_PREFIX!)).some(event => event.type === 'ended' && event.sid === sid)
      t.same({ answer, isEnded, isInStream }, {
        'before the script': { answer: undefined, isEnded: false, isInStream: false },
        'after the script': { answer: undefined, isEnded: true, isInStream: false },
        'before the append': { answer: undefined, isEnded: true, isInStream: false },
        'after the append': { answer: undefined, isEnded: true, isInStream: true },
        'after the answer': { answer: 204, isEnded: true, isInStream: true }
      }[point])
    })
  }
}

/** A proxy to Redis that asks `passes` before it forwards a command of the service, and before it forwards the answer. */
async function startFilter (t: Test, passes: (sent: string, moment: 'before' | 'after') => boolean): Promise<string> {
  const socketPath = /^redis\+socket:\/\/(.*)$/.exec(redis.url)![1]!
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect(socketPath)
    let sent = ''
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => {}))
    client.on('data', data => {
      sent = data.toString('latin1')
      if (passes(sent, 'before')) upstream.write(data)
    }).on('close', () => upstream.destroy())
    upstream.on('data', data => { if (passes(sent, 'after')) client.write(data) }).on('close', () => client.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`
}
