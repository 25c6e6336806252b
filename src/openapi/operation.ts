import type { SwaggerTransform } from '@fastify/swagger'
import type { FastifySchema } from 'fastify'
import { errorBody } from '#src/errors'
import { ErrorResponse } from '#src/schemas/error'
import { errorDescriptions } from './about.ts'

type ResponseSchemas = Record<string, { title?: string, description?: string, examples?: unknown[] }>

/**
 * Completes what a route's schema says about itself: each error status with its meaning and its very body. Fastify
 * serves most routes with a trailing slash too; the documented path is the one without.
 */
export const describeOperation: SwaggerTransform = ({ schema, url, route }) => {
  const { response = {} } = schema as { response?: ResponseSchemas }
  const detail = route.config?.explains === true ? complaint(schema) : undefined
  const responses = Object.entries(response).map(([status, body]) =>
    [status, body.title === ErrorResponse.title ? describeError(Number(status), body, detail) : body])
  return { url: url.replace(/\/$/, ''), schema: { ...schema, response: Object.fromEntries(responses) } }
}

/** What a 400 may say behind the API key, in the validator's words. */
function complaint ({ body, params }: FastifySchema): string | undefined {
  if (body !== undefined) return 'body must be object'
  return params === undefined ? undefined : 'params/userId must match format "user-id"'
}

function describeError (status: number, schema: ResponseSchemas[string], detail: string | undefined): object {
  return {
    ...schema,
    description: schema.description ?? errorDescriptions[status]!,
    examples: [errorBody(status, status === 400 ? detail : undefined)]
  }
}
