import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { everyRoute } from '#src/openapi/about'
import { apiDocument, nameSchemas, toText, type ApiDocument, type PathItem } from '#src/openapi/document'
import { toPortable } from '#src/openapi/portable'
import { scopes } from '#src/settings/api-keys'
import { build, startRedis } from '../support/helper.ts'
import { nodeArguments } from '../support/processes.ts'

/** The API document: what is committed is what the routes say, and public tools accept it. */

const run = promisify(execFile)

const committed = async (): Promise<string> => await readFile('docs/openapi.json', 'utf8')

interface Operation {
  operationId?: string
  description?: string
  security?: object[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { headers?: object, content?: Record<string, Media> }>
}

interface Media {
  example?: unknown
  examples?: object
  schema: { $ref?: string }
}

function operationsOf (document: ApiDocument): Array<{ path: string, method: string, operation: Operation }> {
  return Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item)
    .filter(([key]) => key !== 'servers')
    .map(([method, operation]) => ({ path, method, operation: operation as Operation })))
}

t.test('docs/openapi.json is what the routes say', async t => {
  const service = await build(t, await startRedis(t), everyRoute)
  const document = apiDocument(service.listeners)
  t.equal(await committed(), toText(document), 'docs/openapi.json is out of date: run `npm run openapi` and commit it')
  t.equal(toText(apiDocument({ internal: service.internal, public: service.public })), toText(document), 'in whatever order they were built')
})

t.test('the script writes it', async t => {
  const folder = t.testdir()
  await run(process.execPath, [...nodeArguments('scripts/openapi.ts'), `${folder}/openapi.json`])
  t.equal(await readFile(`${folder}/openapi.json`, 'utf8'), await committed(), 'run `npm run openapi` and commit docs/openapi.json')
})

t.test('a public linter finds nothing to say', async t => {
  const { stdout } = await run('node_modules/.bin/spectral', ['lint', 'docs/openapi.json', '--ruleset', '.spectral.yaml', '--fail-severity', 'hint'])
  t.match(stdout, /No results with a severity of 'hint' or higher found/)
})

t.test('it describes every body, on the listener that has it', async t => {
  const document = JSON.parse(await committed()) as ApiDocument
  t.equal(document.openapi, '3.1.0')
  const { version } = JSON.parse(await readFile('package.json', 'utf8'))
  t.match(document.info, { version })
  for (const { path, method, operation } of operationsOf(document)) {
    const name = `${method} ${path}`
    const isInternal = path.startsWith('/internal/')
    const usesCookie = path.startsWith('/api/ps/session/')
    const isOfDevices = path.startsWith('/api/ps/sessions')
    t.equal(operation.security !== undefined, isInternal || usesCookie || isOfDevices, `${name} wants a key, a cookie or a token`)
    t.equal('401' in operation.responses, isInternal || isOfDevices || path.startsWith('/oauth/'), `${name} says so`)
    t.equal('403' in operation.responses, (isInternal && path !== '/internal/verify') || usesCookie, `${name} says so, unless a gateway asks`)
    t.equal(new RegExp(` Needs the scope \`(${scopes.join('|')})\`\\.$`).test(operation.description!), isInternal, `${name} says which scope it needs`)
    const bodies = [operation.requestBody, ...Object.values(operation.responses)].flatMap(body => Object.values(body?.content ?? {}))
    for (const { headers } of Object.values(operation.responses)) {
      t.match(headers, { 'X-Request-Id': { $ref: '#/components/headers/X-Request-Id' } }, `${name} has an id in every answer`)
    }
    for (const media of bodies) t.ok(media.example ?? media.examples, `${name} has an example of every body`)
  }
  t.match(document.paths['/api/ps/refresh'], { servers: [{ url: 'http://localhost:3000' }] })
  t.match(document.paths['/readyz'], { servers: [{ url: 'http://localhost:3001' }], get: { responses: { 200: {}, 503: {} } } })
  const { post } = document.paths['/api/ps/refresh'] as { post: Operation }
  t.same(Object.keys(post.responses), ['200', '400', '429', '500'])
  t.match(post.responses['400']!.content, { 'application/json': { example: { code: 400, message: 'Bad Request' } } })
})

t.test('its examples are accepted by the routes that they are for', async t => {
  const service = await build(t, await startRedis(t))
  const document = JSON.parse(await committed()) as ApiDocument
  const examples = (path: string, method: string): object[] => {
    const { example, examples } = (document.paths[path]![method] as Operation).requestBody!.content['application/json'] as
      { example?: object, examples?: Record<string, { value: object }> }
    return example === undefined ? Object.values(examples!).map(({ value }) => value) : [example]
  }
  const openings = examples('/internal/sessions', 'post')
  t.equal(openings.length, 2)
  for (const opening of openings) t.equal((await service.call('POST', '/internal/sessions', opening)).statusCode, 201)
  for (const change of examples('/internal/users/{userId}', 'patch')) t.equal((await service.call('PATCH', '/internal/users/1', change)).statusCode, 204)
  t.same((await service.call('GET', '/internal/users/-/sessions')).json(),
    (document.paths['/internal/users/{userId}/sessions'] as { get: Operation }).get.responses['400']!.content!['application/json']!.example)
})

t.test('it holds no token and no rule that needs our validator', async t => {
  const text = await committed()
  t.notMatch(text, /eyJ[\w-]/, 'no token')
  t.notMatch(text, /\\p\{/i, 'Unicode properties mean something else to validators without the u flag')
  t.notMatch(text, /"format": "(user-id|label)"/)
  t.same(toPortable({ format: 'label', type: 'string' }), { type: 'string', minLength: 1, maxLength: 48, pattern: '\\S' })
  t.same(toPortable({ format: 'date-time', pattern: '^x$' }), { format: 'date-time', pattern: '^x$' })
})

t.test('one title names one schema', async t => {
  const body = (schema: object): PathItem => ({ post: { requestBody: { content: { 'application/json': { schema } } } } })
  const document = (...schemas: object[]): ApiDocument => ({
    openapi: '3.1.0', info: {}, components: {}, paths: Object.fromEntries(schemas.map((schema, i) => [`/${i}`, body(schema)]))
  })
  const same = nameSchemas(document({ title: 'A', type: 'object' }, { title: 'A', type: 'object', description: 'here' }, { type: 'null' }))
  t.same(same.components.schemas, { A: { title: 'A', type: 'object' } })
  t.same(same.paths['/1'], body({ $ref: '#/components/schemas/A' }))
  t.same(same.paths['/2'], body({ type: 'null' }), 'what has no title stays')
  t.throws(() => nameSchemas(document({ title: 'A', type: 'object' }, { title: 'A', type: 'string' })), /two different|title A/)
})
