import type { SecretConfig } from './environment.ts'
import { leavesSigningToSecrets } from './key-files.ts'
import { parseKeys } from '#src/tokens/keys'
import { parsePrivateKeys, type PrivateKey } from '#src/tokens/private-keys'

/** One key as @fastify/jwt takes it. */
export interface SigningKey {
  kid: string
  algorithm: 'HS512' | PrivateKey['algorithm']
  secret: Buffer | { private: string, public: string }
}

/** A secret: refresh tokens have no other keys. */
interface SecretKey extends SigningKey {
  algorithm: 'HS512'
  secret: Buffer
}

/** The keys of each kind of token: the first signs, all verify. */
export interface SigningKeys {
  refresh: SecretKey[]
  access: SigningKey[]
}

type KeyConfig = Pick<SecretConfig, 'REFRESH_TOKEN_SECRETS' | 'ACCESS_TOKEN_SECRETS' | 'ACCESS_TOKEN_PRIVATE_KEYS'>

/** Private keys come before secrets, and so sign, unless the list of keys leaves signing to the secrets. */
export function signingKeys ({ REFRESH_TOKEN_SECRETS: refresh, ACCESS_TOKEN_SECRETS: secrets, ACCESS_TOKEN_PRIVATE_KEYS: list = '' }: KeyConfig): SigningKeys {
  const bySecret = secrets === undefined ? [] : secretKeys(secrets)
  const byKey = parsePrivateKeys(list).map(key => ({ ...key, secret: { private: key.private, public: key.public } }))
  return { refresh: secretKeys(refresh), access: leavesSigningToSecrets(list) ? [...bySecret, ...byKey] : [...byKey, ...bySecret] }
}

function secretKeys (list: string): SecretKey[] {
  return parseKeys(list).map(({ kid, secret }) => ({ kid, algorithm: 'HS512', secret }))
}

/** Names of keys, `refresh:<kid>` or `access:<kid>`: every token has its key's `kid` in its header. */
export interface KeyNames {
  /** The signing key of each kind of token. */
  signing: string[]
  known: Set<string>
}

export function keyNames (keys: SigningKeys): KeyNames {
  const names = (['refresh', 'access'] as const).map(kind => keys[kind].map(({ kid }) => `${kind}:${kid}`))
  return { signing: names.map(([first]) => first!), known: new Set(names.flat()) }
}
