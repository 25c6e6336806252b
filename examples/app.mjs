// One app with everything: a log-in with a password, refresh and log-out by the plugin, and a protected route.
// npm run build, then with a Redis: REDIS_URL=redis://localhost:6379 node examples/app.mjs
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import Fastify from 'fastify'
import refreshTokens from 'refresh-token-service'

const { REDIS_URL = 'redis://localhost:6379', PORT = '8080', DEMO_PASSWORD = randomBytes(6).toString('base64url') } = process.env
// A real app keeps its secrets, or every restart logs everybody out.
const { REFRESH_TOKEN_SECRETS = newSecret(), ACCESS_TOKEN_SECRETS = newSecret() } = process.env

const app = Fastify()
await app.register(refreshTokens, {
  redis: REDIS_URL,
  redisPrefix: 'app:',
  refreshTokenSecrets: REFRESH_TOKEN_SECRETS,
  accessTokenSecrets: ACCESS_TOKEN_SECRETS,
  accessTokenTtl: 60,
  onEvent: event => { console.log(JSON.stringify(event)) }
})

// OWASP's scrypt parameters for 16 MiB of memory a hash. A real app has its users in a database.
const hash = async (password, salt) => await promisify(scrypt)(password.normalize('NFKC'), salt, 64, { N: 2 ** 14, r: 8, p: 5 })
const salt = randomBytes(16)
const users = new Map([['ada@example.com', { userId: 1, email: 'ada@example.com', role: 'USER', salt, hash: await hash(DEMO_PASSWORD, salt) }]])
const nobody = { salt: randomBytes(16), hash: randomBytes(64) } // an unknown address takes as long as a known one

const properties = { email: { type: 'string' }, password: { type: 'string', maxLength: 1024 }, deviceId: { type: 'string', maxLength: 255 } }
app.post('/login', { schema: { body: { type: 'object', properties, required: Object.keys(properties) } } }, async (request, reply) => {
  const authenticatedAt = Date.now() / 1000
  const { email, password, deviceId } = request.body
  const user = users.get(email.toLowerCase()) ?? nobody
  if (!timingSafeEqual(user.hash, await hash(password, user.salt))) return reply.code(401).send({ code: 401, message: 'Unauthorized' })
  const { userId, role } = user
  reply.header('cache-control', 'no-store')
  return await app.sessions.open({ userId, email: user.email, role, deviceId, authenticatedAt })
})

app.get('/me', async request => {
  const [, token = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
  const { id, email, role } = await app.sessions.verify(token) // 401 unless its session lives
  return { id, email, role }
})

app.get('/', async (_request, reply) => {
  return reply.type('text/html').send('<!doctype html><title>An app</title><p>POST /login, /api/ps/refresh and /api/ps/logout; GET /me')
})

console.log(`The app: ${await app.listen({ port: Number(PORT) })}\nLog in with: ada@example.com and ${DEMO_PASSWORD}`)

function newSecret () {
  return randomBytes(64).toString('base64url')
}
