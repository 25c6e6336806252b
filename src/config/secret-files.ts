import { readFileSync } from 'node:fs'

/** A variable with this ending names a file with the value, as Docker and Kubernetes mount secrets. */
const ENDING = '_FILE'

/**
 * Reads the variables `names` and, for each that is set as `<NAME>_FILE`, the file's content. A value has no blanks or line breaks
 * around it; an empty variable counts as absent.
 * @returns the values found, and a sentence for each mistake. A sentence quotes neither value nor path: a path may be a misplaced secret.
 */
export function readSecrets (environment: NodeJS.ProcessEnv, names: string[]): { values: Record<string, string>, mistakes: string[] } {
  const values: Record<string, string> = {}
  const mistakes: string[] = []
  for (const name of names) {
    const file = `${name}${ENDING}`
    const value = environment[name]?.trim() ?? ''
    const path = environment[file]?.trim() ?? ''
    if (value !== '' && path !== '') mistakes.push(`${name} and ${file} must not be set together: remove one.`)
    else if (value !== '') values[name] = value
    else if (path !== '') {
      try {
        values[name] = readValue(path)
      } catch (err) {
        const { code, message } = err as NodeJS.ErrnoException
        mistakes.push(`${file} must be the path of a file that can be read and is not empty (${code ?? message}).`)
      }
    }
  }
  return { values, mistakes }
}

function readValue (path: string): string {
  const value = readFileSync(path, 'utf8').trim()
  if (value === '') throw new Error('it is empty')
  return value
}
