// The login service: stores users and passwords, and opens sessions through the internal API.
// The key of that API stays in this service; no browser ever sees it.
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'

const { PORT, INTERNAL_URL, INTERNAL_API_KEY, DEMO_EMAIL, DEMO_PASSWORD } = process.env

// OWASP's scrypt parameters for 16 MiB of memory a hash.
const hash = (password, salt) => promisify(scrypt)(password.normalize('NFKC'), salt, 64, { N: 2 ** 14, r: 8, p: 5 })

// A real product stores users in its database.
const salt = randomBytes(16)
const users = new Map([[DEMO_EMAIL, { id: 1, email: DEMO_EMAIL, role: 'USER', salt, hash: await hash(DEMO_PASSWORD, salt) }]])

// Stands in for an unknown address: no password has this hash, and the answer takes as long as any other.
const nobody = { salt: randomBytes(16), hash: randomBytes(64) }

async function authenticate (email, password) {
  const authenticatedAt = Date.now() / 1000 // taken before the look-up, so that a later log-out or demotion takes effect
  const user = users.get(email.toLowerCase()) ?? nobody
  return timingSafeEqual(user.hash, await hash(password, user.salt)) ? { ...user, authenticatedAt } : undefined
}

/** A name by which users know the device again: "Firefox on Linux". */
function labelOf (agent = '') {
  const browser = /Edg|OPR|Firefox|Chrome|Safari/.exec(agent)?.[0] ?? 'A browser'
  const system = /Android|iPhone|iPad|Windows|Mac OS|Linux/.exec(agent)?.[0]
  return system === undefined ? browser : `${browser} on ${system}`
}

async function openSession (session) {
  const response = await fetch(`${INTERNAL_URL}/internal/sessions`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${INTERNAL_API_KEY}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(session),
    signal: AbortSignal.timeout(5000)
  })
  if (response.ok) return await response.json()
  // 400: the browser's device id is invalid. 409: a log-out everywhere came in between. Any other status is a server error.
  throw Object.assign(new Error('The internal API refused'), { statusCode: { 400: 400, 409: 401 }[response.status] ?? 500 })
}

const app = Fastify({ logger: true })

const properties = { email: { type: 'string' }, password: { type: 'string', maxLength: 1024 }, deviceId: { type: 'string' } }
const schema = { body: { type: 'object', properties, required: ['email', 'password', 'deviceId'] } }

app.post('/login', { schema }, async (request, reply) => {
  const user = await authenticate(request.body.email, request.body.password)
  if (user === undefined) return reply.code(401).send({ code: 401, message: 'Unauthorized' })
  const { id: userId, email, role, authenticatedAt } = user
  const opened = await openSession({ userId, email, role, authenticatedAt, deviceId: request.body.deviceId, label: labelOf(request.headers['user-agent']) })
  return reply.header('Cache-Control', 'no-store').send(opened)
})

closeWithGrace(async () => { await app.close() })
await app.listen({ port: Number(PORT) })
