import { readFileSync } from 'node:fs'
import { isPem, parsePrivateKeys, UnfitKeyError } from '#src/tokens/private-keys'

/** Stands first in `ACCESS_TOKEN_PRIVATE_KEYS` while `ACCESS_TOKEN_SECRETS` still sign and the keys are only served. */
const SECRETS_SIGN = 'HS512'

/**
 * Puts the files that `ACCESS_TOKEN_PRIVATE_KEYS` names in their place, so that the whole process goes by what it read at
 * its start, and checks the keys. Entries are PEM, with line breaks or `\n`, or paths; separated by commas.
 * @returns the same list in PEM alone, which can be read again.
 * @throws UnfitKeyError that says which entry or key is wrong. It never quotes one: a path may be a key that lost its frame.
 */
export function readKeyFiles (list: string): string {
  const entries = list.split(',').map(entry => entry.trim())
  const word = entries[0] === SECRETS_SIGN ? [entries.shift()!] : []
  const pem = entries.map((entry, i) => isPem(entry) ? entry.replaceAll('\\n', '\n') : readFile(entry, i + word.length + 1)).join('\n')
  if (parsePrivateKeys(pem).length === 0) throw new UnfitKeyError('There is no key')
  return [...word, pem].join(',')
}

/** Whether a list begins with the word that leaves signing to `ACCESS_TOKEN_SECRETS`. */
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
  // Text around the blocks is allowed in a file (RFC 7468 section 5.2); a comma there would split the list.
  return text.slice(text.indexOf('-----BEGIN ')).replaceAll(',', ' ')
}
