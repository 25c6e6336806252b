import { isDeepStrictEqual } from 'node:util'
import type { Listener, Listeners } from '#src/http/listeners'
import { headers, info, OPENAPI, securitySchemes, servers, tags } from './about.ts'

/** The parts of an OpenAPI 3.1 document that this module reads or changes. */
export interface ApiDocument {
  openapi: string
  info: object
  servers?: object[]
  tags?: object[]
  paths: Record<string, PathItem>
  components: { schemas?: Record<string, object>, securitySchemes?: object, headers?: object }
}

export type PathItem = Record<string, unknown>

interface Media {
  schema: { title?: string, description?: string, $ref?: string }
}

/** Initial document of each listener, for @fastify/swagger. */
export const base = { openapi: OPENAPI, info, components: { securitySchemes, headers } }

/**
 * Merges the documents of all listeners; each path names its server.
 * Sorted, so that the same API gives the same text. The listeners must be ready.
 */
export function apiDocument (listeners: Listeners, urls: Partial<Record<Listener, string>> = {}): ApiDocument {
  const serverOf = (listener: Listener): object => ({ ...servers[listener], url: urls[listener] ?? servers[listener].url })
  const parts = Object.entries(listeners).map(([listener, app]) =>
    ({ server: serverOf(listener as Listener), document: app.swagger() as unknown as ApiDocument }))
  return {
    openapi: OPENAPI,
    info,
    servers: [serverOf('public'), serverOf('internal')],
    tags,
    paths: sorted(parts.flatMap(({ server, document }) =>
      Object.entries(document.paths).map(([path, item]): [string, PathItem] => [path, { servers: [server], ...item }]))),
    components: { securitySchemes, headers, schemas: sorted(parts.flatMap(({ document }) => Object.entries(document.components.schemas!))) }
  }
}

/** The document as the text of a file. */
export function toText (document: ApiDocument): string {
  return JSON.stringify(document, null, 2) + '\n'
}

/**
 * Moves titled schemas of bodies to the components, so that a generated client gets one type for each title.
 * @throws when two different schemas have one title.
 */
export function nameSchemas (document: ApiDocument): ApiDocument {
  const { schemas = {} } = document.components
  for (const media of mediaOf(document.paths)) {
    // The description belongs to this body, and is not part of the shared schema.
    const { description: _, ...schema } = media.schema
    if (schema.title === undefined) continue
    const known = schemas[schema.title] ??= schema
    if (!isDeepStrictEqual(known, schema)) throw new Error(`Two schemas of the API have the title ${schema.title}.`)
    media.schema = { $ref: `#/components/schemas/${schema.title}` }
  }
  return { ...document, components: { ...document.components, schemas } }
}

/** Adds the common headers to every answer. */
export function describeHeaders (document: ApiDocument): ApiDocument {
  const references = Object.fromEntries(Object.keys(headers).map(name => [name, { $ref: `#/components/headers/${name}` }]))
  for (const item of Object.values(document.paths)) {
    for (const { responses } of Object.values(item) as Array<{ responses: Record<string, { headers?: object }> }>) {
      for (const response of Object.values(responses)) response.headers = { ...response.headers, ...references }
    }
  }
  return document
}

/** Yields the media types of every `content` entry, at any depth. */
function * mediaOf (node: unknown): Generator<Media> {
  if (typeof node !== 'object' || node === null) return
  for (const [key, child] of Object.entries(node)) {
    if (key === 'content') yield * Object.values(child as Record<string, Media>)
    else yield * mediaOf(child)
  }
}

function sorted<T> (entries: Array<[string, T]>): Record<string, T> {
  return Object.fromEntries(entries.sort(([a], [b]) => a < b ? -1 : 1))
}
