import type { FastifyPluginAsync } from 'fastify'
import { keysRoute } from '../../clients/keys.ts'

/** Set by hand, because the folder can't have the path's name: TypeScript leaves out folders whose names begin with a dot. */
export const autoPrefix = '/.well-known'

const route: FastifyPluginAsync = async app => {
  await app.register(keysRoute, { jwks: app.jwks })
}

export default route
