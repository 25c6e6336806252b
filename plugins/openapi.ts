import swagger from '@fastify/swagger'
import fp from 'fastify-plugin'
import { base, describeHeaders, nameSchemas, type ApiDocument } from '#src/openapi/document'
import { describeOperation } from '#src/openapi/operation'
import { toPortable } from '#src/openapi/portable'

/**
 * `app.swagger()`: the OpenAPI document of this listener, built from the schemas of its routes. The plugin works while
 * routes are added, and runs no code for requests.
 */
export default fp(async app => {
  await app.register(swagger, {
    openapi: base as object,
    stripBasePath: false,
    transform: describeOperation,
    transformObject: source =>
      describeHeaders(nameSchemas(toPortable((source as unknown as { openapiObject: ApiDocument }).openapiObject))) as never
  })
}, { name: 'openapi' })
