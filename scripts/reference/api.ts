import { code, page, table } from './markdown.ts'

/** The parts of an OpenAPI document that the page shows. */
export interface Api {
  tags: Array<{ name: string, description: string }>
  paths: Record<string, Record<string, Operation | object>>
  components: { schemas: Record<string, Schema> }
}

interface Operation {
  summary: string
  description: string
  tags: string[]
  security?: object[]
  parameters?: Array<{ name: string, in: string, required: boolean, description: string }>
  requestBody?: { content: Content }
  responses: Record<string, { description: string, content?: Content }>
}

type Content = Record<string, { schema: { $ref?: string }, example?: unknown }>

interface Schema {
  required?: string[]
  properties?: Record<string, { type?: string | string[], description?: string, anyOf?: Array<{ type: string }> }>
}

/** What a request of each security scheme has. */
const credentials: Record<string, string> = {
  internalApiKey: '`Authorization: Bearer <key>`',
  accessToken: '`Authorization: Bearer <access token>`',
  gatewayApiKey: '`X-Internal-Api-Key: <key>`',
  refreshCookie: 'the cookie `__Host-refresh`'
}

/** The page of every route, from `docs/openapi.json`. */
export function apiPage (api: Api): string {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) => Object.entries(methods).flatMap(([method, operation]) =>
    'responses' in operation ? [{ title: `${method.toUpperCase()} ${path}`, ...operation }] : []))
  const sections = api.tags.map(({ name, description }) =>
    [`## ${name}`, description, ...operations.filter(({ tags }) => tags.includes(name)).map(operation => section(operation, api))].join('\n\n'))
  return page('HTTP API', 'docs/openapi.json',
    'Every route of both listeners. The routes of the tags Refresh, OAuth and Devices and the public keys are on the public listener, all others on the internal ' +
    'one. [openapi.json](../openapi.json) has the schemas, for tools; the internal listener serves it as an interactive page at `/docs`.',
    sections.join('\n\n'))
}

function section (operation: Operation & { title: string }, api: Api): string {
  const { title, summary, description, security: [security] = [], parameters = [], requestBody, responses } = operation
  const fields = [
    ...parameters.map(({ name, in: place, required, description }) => [code(name), place, required ? 'yes' : 'no', description]),
    ...Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => bodyFields(schema, api))
  ]
  const answers = Object.entries(responses).map(([status, { description, content = {} }]) =>
    [status, description, Object.values(content).map(({ example }) => example === undefined ? '' : code(text(example))).join('')])
  return [
    `### ${code(title)}`,
    `${summary}. ${description}${security === undefined ? '' : ` The request has ${credentials[Object.keys(security)[0]!]}.`}`,
    ...fields.length > 0 ? [table(['field', 'in', 'required', ''], fields)] : [],
    table(['status', 'meaning', 'example'], answers)
  ].join('\n\n')
}

function bodyFields ({ $ref }: { $ref?: string }, { components }: Api): string[][] {
  const { properties = {}, required = [] } = components.schemas[$ref!.split('/').at(-1)!]!
  return Object.entries(properties).map(([name, { description = '' }]) => [code(name), 'body', required.includes(name) ? 'yes' : 'no', description])
}

/** Examples of text formats are too long for a cell. */
const text = (example: unknown): string => typeof example === 'string' ? '…' : JSON.stringify(example)
