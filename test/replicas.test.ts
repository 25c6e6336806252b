import t from 'tap'
import { claimsOf, environment, postRefresh, postSession, startRedis, startService, apiKey, type ServiceProcess, type TokensBody } from './support/helper.ts'

/** Races between real processes over real sockets: three replicas on one Redis. */

const ROUNDS = 25
const COPIES = 32

let replicas: [ServiceProcess, ...ServiceProcess[]]
t.before(async () => {
  const redis = await startRedis(t)
  const env = environment(redis.url, { ...redis.env, LOG_LEVEL: 'info' })
  replicas = await Promise.all([1, 2, 3].map(async () => await startService(t, env))) as typeof replicas
})

const replica = (i: number): ServiceProcess => replicas[i % replicas.length]!

t.test(`${COPIES} simultaneous copies of one refresh all succeed and get the same successor`, async t => {
  for (let round = 0; round < ROUNDS; round++) {
    let { refreshToken } = await postSession(replicas[0].internalUrl, { userId: 1 + round })
    for (let gen = 2; gen <= 3; gen++) {
      const copies = Array.from({ length: COPIES }, async (_, i) => await postRefresh(replica(i).publicUrl, refreshToken))
      const responses = await Promise.all(copies)
      const bodies = await Promise.all(responses.map(async response => await response.json() as TokensBody))
      const successors = new Set(bodies.map(body => body.refreshToken))
      t.same([new Set(responses.map(({ status }) => status)), successors.size], [new Set([200]), 1], `round ${round}`)
      refreshToken = bodies[0]!.refreshToken
      t.equal(claimsOf(refreshToken).gen, gen)
    }
  }
})

t.test('logging out everywhere during refreshes leaves no valid token', async t => {
  for (let round = 0; round < ROUNDS; round++) {
    const userId = 1000 + round
    const devices = ['phone', 'laptop', 'tablet']
    const opened = await Promise.all(devices.map(async deviceId => await postSession(replicas[0].internalUrl, { userId, deviceId })))
    const seen = new Set(opened.map(({ refreshToken }) => refreshToken))

    // Each device refreshes until it gets a 400.
    const clients = opened.map(async ({ refreshToken }, device) => {
      for (let i = device; ; i++) {
        const response = await postRefresh(replica(i).publicUrl, refreshToken, devices[device]!)
        if (response.status === 400) return
        refreshToken = (await response.json() as TokensBody).refreshToken
        seen.add(refreshToken)
      }
    })
    const loggedOut = await fetch(`${replica(round).internalUrl}/internal/users/${userId}/sessions`, {
      method: 'DELETE', headers: { authorization: `Bearer ${apiKey}` }
    })
    t.equal(loggedOut.status, 204)
    await Promise.all(clients)

    const statuses = await Promise.all([...seen].flatMap(token => devices.map(async (deviceId, i) =>
      (await postRefresh(replica(i).publicUrl, token, deviceId)).status)))
    t.same(new Set(statuses), new Set([400]), `round ${round}: ${seen.size} tokens`)
  }
})

t.test('simultaneous log-ins on one device leave one session', async t => {
  const opening = Array.from({ length: 12 }, async (_, i) => await postSession(replica(i).internalUrl, { userId: 5000 }))
  const bodies = await Promise.all(opening)
  const responses = await Promise.all(bodies.map(async ({ refreshToken }, i) => await postRefresh(replica(i).publicUrl, refreshToken)))
  t.equal(responses.filter(({ status }) => status === 200).length, 1)
})
