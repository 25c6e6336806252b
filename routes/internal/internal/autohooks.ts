import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyPluginAsync } from 'fastify'
import { Unauthorized } from '../../../src/errors.ts'

const hash = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Everything under /internal wants the API key (RFC 6750 section 2.1). */
const hooks: FastifyPluginAsync = async app => {
  // Hashes have one length, so that the comparison tells neither the key's length nor its beginning.
  const expected = hash(app.config.INTERNAL_API_KEY)

  app.addHook('onRequest', async (request, reply) => {
    const [, key = ''] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? []
    if (timingSafeEqual(hash(key), expected)) return
    reply.header('www-authenticate', 'Bearer')
    throw new Unauthorized()
  })

  app.addHook('onRoute', route => {
    route.config = { ...route.config, explains: true }
  })
}

export default hooks
