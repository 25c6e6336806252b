// The ceiling: what is left of a refresh when nothing is decided. A bare Fastify route with our schemas, a fixed body, and
// one call of a script that does nothing, through ioredis with auto-pipelining. It verifies, signs and stores nothing.
import Fastify from 'fastify'
import { Redis } from 'ioredis'
import { ErrorResponse } from '../../../dist/src/schemas/error.js'
import { RefreshRequest, SessionTokens } from '../../../dist/src/schemas/refresh.js'
import { redisUrl, serve } from '../serve.mjs'

const redis = new Redis(redisUrl, { enableAutoPipelining: true })
redis.defineCommand('nothing', { lua: 'return 1', numberOfKeys: 1 })

/** An answer of ours, so that as many bytes are written. */
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
