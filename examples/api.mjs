// The API service: handles no log-ins and no refresh tokens. The plugin checks in Redis that the session is still live.
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import { sessionValidation } from 'refresh-token-validator/fastify'

const { PORT, REDIS_URL, ACCESS_TOKEN_SECRETS } = process.env

const app = Fastify({ logger: true })
await app.register(sessionValidation, { redisUrl: REDIS_URL, secrets: ACCESS_TOKEN_SECRETS })

app.get('/api/me', { onRequest: app.requireSession() }, async ({ session }) => ({ email: session.email, role: session.role }))

app.get('/api/admin', { onRequest: app.requireSession({ roles: ['ADMIN'] }) }, async () => ({ secret: 'for administrators' }))

closeWithGrace(async () => { await app.close() })
await app.listen({ port: Number(PORT) })
