import formbody from '@fastify/formbody'
import type { FastifyInstance } from 'fastify'
import { MalformedBody } from '#src/errors'

/** The parameters of a form; `null` for a repeated one, which every schema refuses (RFC 6749 section 3.1). */
type Form = Record<string, string | null>

/** Accepts only bodies that are forms (RFC 6749 appendix B). */
export async function acceptOnlyForms (app: FastifyInstance): Promise<void> {
  app.removeAllContentTypeParsers()
  await app.register(formbody, { parser: parseForm })
}

/**
 * Parses a form. A parameter without a value counts as left out (RFC 6749 section 3.1). A decoder would replace every invalid byte
 * by the same character, so that two device ids could become equal: such a form is refused.
 * @throws MalformedBody unless the form is ASCII, and its escapes are UTF-8.
 */
export function parseForm (text: string): Form {
  const form: Form = Object.create(null)
  try {
    decodeURIComponent(text)
  } catch {
    throw new MalformedBody()
  }
  if (/[^\0-\x7f]/.test(text)) throw new MalformedBody()
  for (const [name, value] of new URLSearchParams(text)) {
    if (value !== '') form[name] = name in form ? null : value
  }
  return form
}
