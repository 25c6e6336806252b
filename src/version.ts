import { readFileSync } from 'node:fs'

/** The package's version. Compiled files find the package.json that `npm run compile` writes to dist. */
export const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
