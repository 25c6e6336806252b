import type { SwaggerTransform } from '@fastify/swagger'
import type { FastifySchema } from 'fastify'
import { errorBody, type ErrorStatus } from '#src/errors'
import { ErrorResponse } from '#src/schemas/error'
import { errorDescriptions } from './about.ts'

/** Details of error answers, by status. */
type Details = Partial<Record<ErrorStatus, string | undefined>>

type ResponseSchemas = Record<string, { title?: string, description?: string, examples?: unknown[] }>

/**
 * Completes a route's schema: adds the description and the exact body of each error status. Fastify also serves most
 * routes with a trailing slash; the documented path has none.
 */
export const describeOperation: SwaggerTransform = ({ schema, url, route }) => {
  const { response = {} } = schema as { response?: ResponseSchemas }
  const { explains, scope } = route.config ?? {}
  const details: Details = { 400: explains === true ? complaint(schema) : undefined, 403: scope && `the API key of gateway lacks the scope ${scope}` }
  const responses = Object.entries(response).map(([status, body]) =>
    [status, body.title === ErrorResponse.title ? describeError(Number(status) as ErrorStatus, body, details) : body])
  return { url: url.replace(/\/$/, ''), schema: { ...schema, response: Object.fromEntries(responses) } }
}

/** Example detail of a 400 on a route behind the API key, in the validator's words. */
function complaint ({ body, params }: FastifySchema): string | undefined {
  if (body !== undefined) return 'body must be object'
  return params === undefined ? undefined : 'params/userId must match format "user-id"'
}

function describeError (status: ErrorStatus, schema: ResponseSchemas[string], details: Details): object {
  return {
    ...schema,
    description: schema.description ?? errorDescriptions[status]!,
    examples: [errorBody(status, details[status])]
  }
}
