/**
 * What a key of the internal API permits. `oauth`: to be a confidential client of the OAuth routes. `console`: to log in to the console,
 * and to see and end sessions there.
 */
export const scopes = ['open', 'read', 'revoke', 'profile', 'introspect', 'oauth', 'console'] as const

export type Scope = typeof scopes[number]

/** One key of the internal API. A caller has two keys of one name while its key is replaced. */
export interface ApiKey {
  /** Who calls; public, and in the log. */
  name: string
  scopes: readonly Scope[]
  key: string
}

/** The audit trail names the caller of `INTERNAL_API_KEY` and the clients so. */
export const DEFAULT_CALLER = 'default'
export const CLIENT = 'client'

/** The format of a key. It contains no separator of `INTERNAL_API_KEYS`. */
const KEY = '[A-Za-z0-9._~+/=-]{32,}'

export const KEY_PATTERN = `^${KEY}$`

const ENTRY = new RegExp(`^(?!(?:${DEFAULT_CALLER}|${CLIENT}):)([a-z][a-z0-9-]{0,31}):([a-z+]+):(${KEY})$`)

/** Parses `INTERNAL_API_KEYS`; `undefined` unless `areApiKeys`. */
export function parseApiKeys (list: string): ApiKey[] | undefined {
  const keys = list.split(',').map(entry => {
    const [, name = '', joined = '', key = ''] = ENTRY.exec(entry.trim()) ?? []
    return { name, scopes: joined.split('+') as Scope[], key }
  })
  const isRight = keys.every(key => key.scopes.every(scope => scopes.includes(scope)))
  return isRight && new Set(keys.map(({ key }) => key)).size === keys.length ? keys : undefined
}

/** Whether every entry is `name:scope+scope:key`, with known scopes, and no two keys are alike. */
export function areApiKeys (list: string): boolean {
  return parseApiKeys(list) !== undefined
}
