import { isUtf8 } from 'node:buffer'
import type { FastifyInstance } from 'fastify'
import { MalformedBody } from '#src/errors'

/** Maximum size of a request's body, bytes. The largest documented body, fully escaped, needs about a quarter of it. */
export const BODY_LIMIT = 32 * 1024

/** `Content-Type` of every answer with a body of JSON. */
export const JSON_TYPE = 'application/json; charset=utf-8'

/**
 * Accepts only bodies of JSON in UTF-8 (RFC 8259 section 8.1). Node would decode every invalid byte as the same replacement
 * character, so that two device ids could become equal.
 */
export function acceptOnlyJson (app: FastifyInstance): void {
  // Unknown fields are ignored, including those that would poison a prototype.
  const parse = app.getDefaultJsonParser('remove', 'remove')

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    // Many clients send their usual content type with a DELETE that has no body.
    if (body.length === 0 && request.method === 'DELETE') return done(null, undefined)
    if (!isUtf8(body)) return done(new MalformedBody(), undefined)
    parse(request, body.toString(), done)
  })
}
