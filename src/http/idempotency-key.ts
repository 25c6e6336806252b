import type { IncomingMessage } from 'node:http'
import { RefreshRefused } from '#src/errors'

const NAME = 'idempotency-key'

/**
 * Returns the `Idempotency-Key` of a request whose schema has checked the header's form: a string without its quotes, or a bare
 * token, so that both spellings are one key. `undefined` without the header.
 * @throws RefreshRefused when the header is repeated: Node joins the values, and two halves can look like one string.
 */
export function idempotencyKeyOf ({ headers, rawHeaders }: Pick<IncomingMessage, 'headers' | 'rawHeaders'>): string | undefined {
  const value = headers[NAME] as string | undefined
  if (value === undefined) return undefined
  const names = rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === NAME)
  if (names.length > 1) throw new RefreshRefused('malformed')
  return value.startsWith('"') ? value.slice(1, -1) : value
}
