import { readFileSync } from 'node:fs'
import { isPem, parsePrivateKeys, UnfitKeyError } from '#src/tokens/private-keys'

/** First entry of `ACCESS_TOKEN_PRIVATE_KEYS` while `ACCESS_TOKEN_SECRETS` still sign and the private keys are only published. */
const SECRETS_SIGN = 'HS512'

/**
 * Replaces each path in `ACCESS_TOKEN_PRIVATE_KEYS` by the content of its file, so that the process keeps the keys it read at
 * its start, and checks the keys. Commas separate the entries; an entry is a path, or PEM with line breaks or `\n`.
 * @returns the same list with PEM only; this function accepts it again.
 * @throws UnfitKeyError that numbers the wrong entry or key. It never quotes an entry: a path may be a key without its PEM frame.
 */
export function readKeyFiles (list: string): string {
  const entries = list.split(',').map(entry => entry.trim())
  const word = entries[0] === SECRETS_SIGN ? [entries.shift()!] : []
  const pem = entries.map((entry, i) => isPem(entry) ? entry.replaceAll('\\n', '\n') : readFile(entry, i + word.length + 1)).join('\n')
  if (parsePrivateKeys(pem).length === 0) throw new UnfitKeyError('There is no key')
  return [...word, pem].join(',')
}

/** Whether the list begins with `SECRETS_SIGN`, so that `ACCESS_TOKEN_SECRETS` sign. */
export function leavesSigningToSecrets (list: string): boolean {
  return list.split(',')[0]!.trim() === SECRETS_SIGN
}

function readFile (path: string, number: number): string {
  let text
  try {
    text = readFileSync(path, 'utf8')
  } catch (err) {
    throw new UnfitKeyError(`Entry ${number} is neither PEM nor a file that can be read (${(err as NodeJS.ErrnoException).code})`)
  }
  if (!isPem(text)) throw new UnfitKeyError(`Entry ${number} is a file without PEM`)
  // A PEM file may have text around its blocks (RFC 7468 section 5.2); a comma in this text would split the list.
  return text.slice(text.indexOf('-----BEGIN ')).replaceAll(',', ' ')
}
