// The API service: knows nothing of log-ins and refresh tokens. The plugin asks Redis whether the session still lives.
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import { sessionValidation } from 'refresh-token-service/validator'

const { PORT, REDIS_URL, ACCESS_TOKEN_SECRETS } = process.env

const app = Fastify({ logger: true })
await app.register(sessionValidation, { redisUrl: REDIS_URL, secrets: ACCESS_TOKEN_SECRETS })

app.get('/api/me', { onRequest: app.requireSession() }, async ({ session }) => ({ email: session.email, role: session.role }))

app.get('/api/admin', { onRequest: app.requireSession({ roles: ['ADMIN'] }) }, async () => ({ secret: 'for administrators' }))

closeWithGrace(async () => { await app.close() })
await app.listen({ port: Number(PORT) })
