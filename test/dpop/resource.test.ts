import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { sessionValidation } from '../../packages/validator/src/fastify.ts'
import { codeOf, optionsFor, validatorFor } from '../validator/helper.ts'
import { apiKey, build, claimsOf, guest, startRedis, type PrivateRedis, type Service } from '../support/helper.ts'
import { hashOf, holder, type Holder } from './helper.ts'

/** Access tokens that are bound to a key, at APIs. */

const ALGS = 'algs="ES256 EdDSA Ed25519"'
const url = 'http://api.example/orders'

let redis: PrivateRedis
let client: Holder
t.before(async () => {
  redis = await startRedis(t)
  client = await holder()
})

async function setup (t: Test): Promise<{ service: Service, bound: string, unbound: string }> {
  const service = await build(t, redis, { DPOP: 'optional' })
  const { token: bound } = await service.open({ jkt: client.jkt })
  const { token: unbound } = await service.open({ deviceId: 'laptop' })
  return { service, bound, unbound }
}

const prove = async (token: string, claims: object = {}, by = client): Promise<string> => await by.prove({ htm: 'GET', htu: url, ath: hashOf(token), ...claims })

t.test('the validator accepts a bound token only with a proof of its request, and each proof once', async t => {
  const { service, bound, unbound } = await setup(t)
  const validator = await validatorFor(t, service)
  const at = async (token: string, proof?: string): Promise<string | undefined> => await codeOf(validator.validate(token, { proof, method: 'GET', url }))
  for (const round of ['looked up', 'cached']) {
    t.equal(await codeOf(validator.validate(bound)), 'unproved', `as a bearer token, ${round}`)
    t.equal(await at(bound), 'unproved', `no proof, ${round}`)
    const proof = await prove(bound)
    t.match(await validator.validate(bound, { proof, method: 'GET', url: `${url}?page=2` }), { id: 1, jkt: client.jkt })
    t.equal(await at(bound, proof), 'unproved', `replayed, ${round}`)
    t.equal(await at(bound, await prove(bound, { htm: 'POST' })), 'unproved', `another method, ${round}`)
    t.equal(await at(bound, await prove(unbound)), 'unproved', `another token, ${round}`)
    t.equal(await at(bound, await prove(bound, {}, await holder())), 'unproved', `another key, ${round}`)
    t.equal(await at(unbound, await prove(unbound)), 'malformed', `a token without a key, ${round}`)
    t.notOk('jkt' in await validator.validate(unbound))
  }
})

t.test('the hook of requireSession: the scheme DPoP, its challenges, and no bound token as a bearer token', async t => {
  const { service, bound, unbound } = await setup(t)
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(sessionValidation, optionsFor(service))
  app.get('/orders', { onRequest: app.requireSession() }, async request => request.session)
  app.get('/admin', { onRequest: app.requireSession({ roles: ['ADMIN'] }) }, async () => 'secret')
  const get = async (authorization: string, dpop?: string, path = '/orders') =>
    await app.inject({ url: path, headers: { host: 'api.example', authorization, ...dpop !== undefined && { dpop } } })

  const response = await get(`DPoP ${bound}`, await prove(bound))
  t.equal(response.statusCode, 200)
  t.match(response.json(), { id: 1, jkt: client.jkt })
  t.equal((await get(`dpop  ${bound}`, await prove(bound), '/orders?a=b')).statusCode, 200)
  t.equal((await get(`Bearer ${unbound}`, 'x')).statusCode, 200, 'a bearer token needs no proof')
  const admin = await get(`DPoP ${bound}`, await prove(bound, { htu: 'http://api.example/admin' }), '/admin')
  t.equal(admin.headers['www-authenticate'], 'DPoP error="insufficient_scope"')

  const proof = await prove(bound)
  for (const [what, answer, challenge] of [
    ['bound as Bearer', await get(`Bearer ${bound}`), `DPoP error="invalid_token", ${ALGS}`],
    ['bound as Bearer, with a proof', await get(`Bearer ${bound}`, proof), `DPoP error="invalid_token", ${ALGS}`],
    ['unbound as DPoP', await get(`DPoP ${unbound}`, await prove(unbound)), `DPoP error="invalid_token", ${ALGS}`],
    ['forged', await get('DPoP x', proof), `DPoP error="invalid_token", ${ALGS}`],
    ['no proof', await get(`DPoP ${bound}`), `DPoP error="invalid_dpop_proof", ${ALGS}`],
    ['a malformed proof', await get(`DPoP ${bound}`, 'x'), `DPoP error="invalid_dpop_proof", ${ALGS}`],
    ['two proofs', await get(`DPoP ${bound}`, `${proof}, ${proof}`), `DPoP error="invalid_dpop_proof", ${ALGS}`],
    ['without ath', await get(`DPoP ${bound}`, await prove(bound, { ath: undefined })), `DPoP error="invalid_dpop_proof", ${ALGS}`]
  ] as const) {
    t.equal(answer.statusCode, 401, what)
    t.equal(answer.headers['www-authenticate'], challenge, what)
  }
  t.equal((await get(`DPoP ${bound}`, proof)).statusCode, 200, 'a proof beside a refused token is not used up')
})

t.test('the gateway check: a proof of the client\'s own request, from X-Forwarded headers or from Envoy', async t => {
  const { service, bound, unbound } = await setup(t)
  const forwarded = { 'x-forwarded-method': 'GET', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'api.example', 'x-forwarded-uri': '/orders?page=2' }
  const ask = async (authorization: string, headers: Record<string, string>, path = '/internal/verify') =>
    await service.internal.inject({ url: path, headers: { 'x-internal-api-key': apiKey, authorization, ...headers } })

  t.equal((await ask(`DPoP ${bound}`, { ...forwarded, dpop: await prove(bound) })).statusCode, 204)
  const envoy = { host: 'api.example', 'x-forwarded-proto': 'http' }
  t.equal((await ask(`DPoP ${bound}`, { ...envoy, dpop: await prove(bound) }, '/internal/verify/orders?page=2')).statusCode, 200)
  t.equal((await ask(`DPoP ${bound}`, { ...envoy, dpop: await prove(bound, { htu: 'http://api.example/' }) }, '/internal/verify/')).statusCode, 200)
  const lies = { ...envoy, ...forwarded, dpop: await prove(bound) }
  t.equal((await ask(`DPoP ${bound}`, lies, '/internal/verify/accounts')).statusCode, 401, 'the path of Envoy\'s client wins over its headers')

  for (const missing of Object.keys(forwarded)) {
    const answer = await ask(`DPoP ${bound}`, { ...forwarded, [missing]: '', dpop: await prove(bound) })
    t.match(answer, { statusCode: 401, headers: { 'www-authenticate': `DPoP error="invalid_dpop_proof", ${ALGS}` } }, missing)
  }
  for (const [what, authorization, dpop, challenge] of [
    ['bound as Bearer', `Bearer ${bound}`, await prove(bound), `DPoP error="invalid_token", ${ALGS}`],
    ['unbound as DPoP', `DPoP ${unbound}`, await prove(unbound), `DPoP error="invalid_token", ${ALGS}`],
    ['forged', 'DPoP x', 'x', `DPoP error="invalid_token", ${ALGS}`],
    ['a malformed proof', `DPoP ${bound}`, 'x', `DPoP error="invalid_dpop_proof", ${ALGS}`]
  ] as const) {
    const answer = await ask(authorization, { ...forwarded, dpop })
    t.equal(answer.statusCode, 401, what)
    t.equal(answer.headers['www-authenticate'], challenge, what)
    t.notOk('x-user-id' in answer.headers)
  }
})

t.test('introspection names the key and the client of a token, and leaves the proof to its caller', async t => {
  const { service, bound, unbound } = await setup(t)
  const { token, refreshToken } = await service.open({ deviceId: 'third', jkt: client.jkt, clientId: 'app' })
  const introspect = async (token: string, hint = ''): Promise<Record<string, unknown>> => (await service.internal.inject({
    method: 'POST',
    url: '/internal/introspect',
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/x-www-form-urlencoded' },
    payload: `token=${token}&token_type_hint=${hint}`
  })).json()
  t.match(await introspect(bound), { active: true, token_type: 'DPoP', cnf: { jkt: client.jkt }, sid: claimsOf(bound).sid })
  t.match(await introspect(token), { active: true, token_type: 'DPoP', cnf: { jkt: client.jkt }, client_id: 'app' })
  t.match(await introspect(refreshToken, 'refresh_token'), { active: true, token_type: 'N_A', cnf: { jkt: client.jkt }, client_id: 'app' })
  const plain = await introspect(unbound)
  t.match(plain, { active: true, token_type: 'Bearer', username: guest.email })
  t.notOk('cnf' in plain || 'client_id' in plain)
})
