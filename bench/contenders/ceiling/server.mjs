// The ceiling: a refresh without any logic. A bare Fastify route with the service's schemas and a fixed body calls an empty
// script once, through ioredis with auto-pipelining. It verifies, signs and stores nothing.
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { ErrorResponse } from '../../../dist/src/schemas/error.js'
import { RefreshRequest, SessionTokens } from '../../../dist/src/schemas/refresh.js'
import { redisUrl, serve } from '../serve.mjs'

const redis = new Redis(redisUrl, { enableAutoPipelining: true })
redis.defineCommand('nothing', { lua: 'return 1', numberOfKeys: 1 })

/** A real answer of the service, so that the ceiling writes as many bytes. */
const answer = JSON.parse(process.env.ANSWER)

const app = Fastify()
app.post('/api/ps/refresh', {
  schema: { body: RefreshRequest, response: { 200: SessionTokens, 400: ErrorResponse, 500: ErrorResponse } }
}, async () => {
  await redis.nothing('rt:1')
  return answer
})
await app.ready()
await serve(app.server, async () => answer.refreshToken)
