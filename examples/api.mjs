// The API service: handles no log-ins and no refresh tokens. The plugin checks in Redis that the session is still live.
import closeWithGrace from 'close-with-grace'
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { sessionValidation } from 'refresh-token-validator/fastify'

const { PORT, REDIS_URL, ACCESS_TOKEN_SECRETS } = process.env

const app = Fastify({ logger: true })
await app.register(sessionValidation, { redisUrl: REDIS_URL, secrets: ACCESS_TOKEN_SECRETS })

app.get('/api/me', { onRequest: app.requireSession() }, async ({ session }) => ({ email: session.email, role: session.role }))

app.get('/api/admin', { onRequest: app.requireSession({ roles: ['ADMIN'] }) }, async () => ({ secret: 'for administrators' }))

// Tells the pages of a user that the user's sessions have changed. Here REDIS_URL is the socket of the embedded Redis.
const events = new Redis(new URL(REDIS_URL).pathname)
const streams = new Map()
events.on('error', () => {}) // it reconnects, and subscribes again
events.on('message', (_channel, text) => {
  const { type, id, sid } = JSON.parse(text)
  for (const [stream, session] of streams) {
    if (session.id !== id) continue
    stream.write('data: {}\n\n')
    if (type === 'revoked' && session.sid === sid) stream.end()
  }
})
await events.subscribe('rt:events')

app.get('/api/events', { onRequest: app.requireSession() }, ({ session }, reply) => {
  reply.hijack()
  const stream = reply.raw.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
  stream.write(': open\n\n')
  streams.set(stream, session)
  stream.on('close', () => streams.delete(stream))
})

app.addHook('preClose', async () => {
  for (const stream of streams.keys()) stream.end()
  events.disconnect()
})
closeWithGrace(async () => { await app.close() })
await app.listen({ port: Number(PORT) })
