import fp from 'fastify-plugin'
import { acceptOnlyJson } from '#src/http/json'

export default fp(async app => { acceptOnlyJson(app) }, { name: 'json' })
