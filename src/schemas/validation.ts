import { Ajv, type ValidateFunction } from 'ajv'
import fastJsonStringify from 'fast-json-stringify'
import { claimsKeyword, formats } from './fields.ts'

/**
 * Bodies are taken as sent: no string becomes a number, no default is filled in, no field is removed. One instance, whatever Ajv the
 * app around it has, so that a process compiles each schema once for all its listeners. The schemas are ours, so Ajv need not check them.
 */
const ajv = new Ajv({
  coerceTypes: false, useDefaults: false, removeAdditional: false, allowUnionTypes: true, meta: false, validateSchema: false
})
for (const [name, check] of Object.entries(formats)) ajv.addFormat(name, check)
ajv.addKeyword(claimsKeyword)

/** Compiles a schema; the same schema object gives the same function. */
export function compileSchema (schema: object): ValidateFunction {
  return ajv.compile(schema)
}

interface Part { schema: unknown, httpPart?: string | undefined }

/**
 * Compiles the schemas of requests for Fastify, which writes the names of headers in lower case only for its own compiler.
 */
export function validatorCompiler ({ schema, httpPart }: Part): ValidateFunction {
  return ajv.compile(httpPart === 'headers' ? withLowerCase(schema as Headers) : schema as object)
}

interface Headers { properties: object }

function withLowerCase (schema: Headers): Headers {
  const properties = Object.entries(schema.properties).map(([name, value]) => [name.toLowerCase(), value])
  return { ...schema, properties: Object.fromEntries(properties) }
}

const serializers = new WeakMap<object, (data: unknown) => string>()

/** Compiles the schemas of answers for Fastify; also each schema object once in a process. */
export function serializerCompiler ({ schema }: { schema: unknown }): (data: unknown) => string {
  let serialize = serializers.get(schema as object)
  if (serialize === undefined) serializers.set(schema as object, serialize = fastJsonStringify(schema as object))
  return serialize
}
