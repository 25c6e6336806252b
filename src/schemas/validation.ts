import { Ajv, type ValidateFunction } from 'ajv'
import { claimsKeyword, formats } from './fields.ts'

/** Bodies are taken as sent: no string becomes a number, no default is filled in, no field is removed. */
export const ajvOptions = { coerceTypes: false, useDefaults: false, removeAdditional: false, allowUnionTypes: true } as const

/** Adds the formats and the keyword of the schemas. */
export function extendAjv (ajv: Ajv): void {
  for (const [name, check] of Object.entries(formats)) ajv.addFormat(name, check)
  ajv.addKeyword(claimsKeyword)
}

/** The validator of every schema of the service, whatever Ajv the app around it has. */
export function createAjv (): Ajv {
  const ajv = new Ajv(ajvOptions)
  extendAjv(ajv)
  return ajv
}

/**
 * Creates the function with which Fastify compiles the schemas of routes. Fastify writes the names of headers in lower case only for its
 * own compiler.
 */
export function createValidatorCompiler (): (route: { schema: unknown, httpPart?: string | undefined }) => ValidateFunction {
  const ajv = createAjv()
  return ({ schema, httpPart }) => ajv.compile(httpPart === 'headers' ? withLowerCase(schema as Headers) : schema as object)
}

interface Headers { properties: object }

function withLowerCase (schema: Headers): Headers {
  const properties = Object.entries(schema.properties).map(([name, value]) => [name.toLowerCase(), value])
  return { ...schema, properties: Object.fromEntries(properties) }
}
