import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { developmentSecrets, type Config, type DevelopmentSecret } from './config.ts'

/**
 * Fills in the secrets that a development machine was not given: made once, kept under `DATA_DIR` in a file that only
 * its owner can read and a shell can source. Production is always given its own: see config.ts.
 */
export async function withDevelopmentSecrets (config: Config): Promise<Config & Record<DevelopmentSecret, string>> {
  const given = developmentSecrets.filter(name => config[name] !== undefined)
  if (given.length === developmentSecrets.length) return config as Config & Record<DevelopmentSecret, string>
  const made = await readOrMake(config.DATA_DIR)
  return Object.assign({}, config, made, Object.fromEntries(given.map(name => [name, config[name]])))
}

async function readOrMake (dataDir: string): Promise<Record<DevelopmentSecret, string>> {
  const file = join(dataDir, 'secrets.env')
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const lines = developmentSecrets.map(name => `${name}=${randomBytes(64).toString('base64url')}\n`).join('')
  // Whoever is first makes them; the flag makes a second service read the same ones.
  await writeFile(file, lines, { mode: 0o600, flag: 'wx' }).catch(err => { if (err.code !== 'EEXIST') throw err })
  const kept = await readFile(file, 'utf8')
  return Object.fromEntries(kept.trim().split('\n').map(line => line.split('=', 2))) as Record<DevelopmentSecret, string>
}
