import { completeConfig, loadConfig, type SecretConfig } from '#src/config/environment'
import { readOwner } from '#src/deployment/issuer'
import { readAnnounced, unknownOf } from '#src/deployment/keys'
import { readDevelopmentSecrets } from '#src/config/development-secrets'
import type { RedisClient } from '#src/redis/client'
import { withoutArguments } from '#src/log/redact'
import { issuerKey } from '#src/redis/keys'
import { keyNames, signingKeys } from '#src/config/signing-keys'
import { count } from '#src/cli/output'
import { fail, ok, unknown, type Check } from './check.ts'

/** Checks that this environment matches the running replicas: same issuer, same keys. */
export async function deploymentChecks (redis: RedisClient): Promise<Check[]> {
  const config = await readEnvironment()
  if (config === undefined) return []
  const { REDIS_PREFIX: prefix, JWT_ISSUER: issuer } = config
  const { known } = keyNames(signingKeys(config))
  try {
    return [
      issuerCheck(await readOwner(redis, prefix), issuer, prefix),
      keysCheck(await readAnnounced(redis, prefix), known)
    ]
  } catch (err) {
    return [unknown('issuer', `whether this is the environment of the running replicas: ${withoutArguments((err as Error).message)}`, 'run doctor again when Redis is well')]
  }
}

/** Returns `undefined` when the environment has no secrets or is invalid; the configuration check reports an invalid one. */
async function readEnvironment (): Promise<SecretConfig | undefined> {
  try {
    const config = loadConfig()
    return completeConfig(config, await readDevelopmentSecrets(config.DATA_DIR) ?? {})
  } catch {
    return undefined
  }
}

function issuerCheck (owner: string | undefined, issuer: string, prefix: string): Check {
  if (owner === undefined) return ok('issuer', `no issuer has taken ${prefix} yet`)
  return owner === issuer
    ? ok('issuer', `${prefix} belongs to ${issuer}`)
    : fail('issuer', `${prefix} belongs to ${owner}, and JWT_ISSUER is ${issuer}: the start would be refused`,
      `set another REDIS_PREFIX, or, to change the issuer on purpose, stop all replicas and DEL ${issuerKey(prefix)}`)
}

function keysCheck (announced: string[], known: Set<string>): Check {
  const unknown = unknownOf(announced, known)
  return unknown.length === 0
    ? ok('keys', `this environment has every key that running replicas sign with: ${count(announced.length, 'key')}`)
    : fail('keys', `running replicas sign with ${unknown.join(', ')}, which this environment lacks: its replicas would refuse their tokens`,
      'give all replicas the same secrets, and rotate them as docs/keys.md says')
}
