import { isUtf8 } from 'node:buffer'
import fp from 'fastify-plugin'
import { MalformedBody } from '#src/errors'

/**
 * Bodies are JSON in UTF-8 (RFC 8259 section 8.1) and nothing else. Node would turn every invalid byte into the same
 * replacement character, and two device ids into one.
 */
export default fp(async app => {
  // Unknown fields are ignored, those that would poison a prototype too.
  const parse = app.getDefaultJsonParser('remove', 'remove')

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    // Many clients send their usual content type with a DELETE, and no body.
    if (body.length === 0 && request.method === 'DELETE') return done(null, undefined)
    if (!isUtf8(body)) return done(new MalformedBody(), undefined)
    parse(request, body.toString(), done)
  })
}, { name: 'json' })
