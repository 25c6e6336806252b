import { isUtf8 } from 'node:buffer'
import fp from 'fastify-plugin'
import { MalformedBody } from '#src/errors'

/**
 * Accepts only bodies of JSON in UTF-8 (RFC 8259 section 8.1). Node would decode every invalid byte as the same replacement
 * character, so that two device ids could become equal.
 */
export default fp(async app => {
  // Unknown fields are ignored, including those that would poison a prototype.
  const parse = app.getDefaultJsonParser('remove', 'remove')

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    // Many clients send their usual content type with a DELETE that has no body.
    if (body.length === 0 && request.method === 'DELETE') return done(null, undefined)
    if (!isUtf8(body)) return done(new MalformedBody(), undefined)
    parse(request, body.toString(), done)
  })
}, { name: 'json' })
