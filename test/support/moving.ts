import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { Test } from 'tap'
import { hashLegacyToken, importedSessionId } from '#src/redis/records'
import { run, type Said } from '../cli/helper.ts'
import { build, guest, tempFolder, type PrivateRedis, type Service } from './helper.ts'

/** A token of another service. */
export const legacyToken = (): string => randomBytes(32).toString('base64url')

/** The environment of the command line beside a service. */
export function cliEnv ({ config }: Pick<Service, 'config'>): Record<string, string> {
  const { REDIS_URL, REDIS_SENTINEL_PASSWORD, REDIS_PREFIX, REFRESH_IDLE_TTL, REFRESH_ABSOLUTE_TTL, MAX_SESSIONS_PER_USER } = config
  return {
    REDIS_URL,
    REDIS_PREFIX,
    ...REDIS_SENTINEL_PASSWORD !== undefined && { REDIS_SENTINEL_PASSWORD },
    REFRESH_IDLE_TTL: String(REFRESH_IDLE_TTL),
    REFRESH_ABSOLUTE_TTL: String(REFRESH_ABSOLUTE_TTL),
    MAX_SESSIONS_PER_USER: String(MAX_SESSIONS_PER_USER)
  }
}

/** Imports lines beside a service. A text is a line as it is. */
export async function importLines (t: Test, service: Pick<Service, 'config'>, lines: Array<object | string>, ...options: string[]): Promise<Said & { path: string }> {
  const path = join(await tempFolder(t), 'sessions.ndjson')
  await writeFile(path, lines.map(line => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''))
  return { path, ...await run(['import', path, ...options], cliEnv(service)) }
}

/** The lines that an export beside a service writes, and its result. */
export async function exportLines (service: Pick<Service, 'config'>): Promise<Said & { lines: any[] }> {
  let written = ''
  const output = new Writable({
    write (chunk, _encoding, done) {
      written += chunk
      done()
    }
  })
  const said = await run(['export'], cliEnv(service), { output })
  return { ...said, lines: written.split('\n').filter(line => line !== '').map(line => JSON.parse(line)) }
}

export interface LegacyOptions { line?: object, env?: Record<string, string> }

/** A service, and an imported session of the guest. `again` refreshes with its legacy token. */
export async function setupLegacy (t: Test, redis: PrivateRedis, { line = {}, env = {} }: LegacyOptions = {}) {
  const service = await build(t, redis, { LEGACY_TOKENS: 'on', ...env })
  const token = legacyToken()
  const imported = await importLines(t, service, [{ ...guest, legacyToken: token, ...line }])
  t.match(imported.json, { imported: 1, rejected: 0 })
  const sid = importedSessionId(hashLegacyToken(token))
  const key = `${service.config.REDIS_PREFIX}1`
  return {
    ...service,
    service,
    token,
    sid,
    key,
    value: async () => await redis.client.hget(key, `s:${sid}`),
    again: async (device = guest.deviceId, idempotencyKey?: string) =>
      await service.refresh(token, device, idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey })
  }
}

/** The audit lines of a name. */
export const audited = ({ log }: Service, name: string): object[] => log.filter(({ audit }) => audit === name)
