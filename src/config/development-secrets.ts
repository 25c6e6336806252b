import { randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import { link, mkdir, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inDataDir } from './data-dir.ts'
import { completeConfig, developmentSecrets, missingSecrets, type Config, type SecretConfig } from './environment.ts'
import { StartError } from '#src/errors'

/**
 * Completes a configuration with the secrets of a development machine. They are made once and kept under `DATA_DIR`, in a file
 * that only its owner can read and a shell can source. Production must be given its secrets: see environment.ts.
 * @throws StartError when the file was edited and is wrong, when another user may read or change it, or when DATA_DIR can't be used.
 */
export async function withDevelopmentSecrets (config: Config): Promise<SecretConfig> {
  const isComplete = missingSecrets(config).length === 0
  return completeConfig(config, isComplete ? {} : await inDataDir(config.DATA_DIR, async () => await readSecrets(config.DATA_DIR)))
}

/**
 * Returns the secrets kept under `dataDir`; `undefined` when none were made. Creates nothing.
 * @throws StartError when another user may read or change the file, or when DATA_DIR can't be used.
 */
export async function readDevelopmentSecrets (dataDir: string): Promise<Record<string, string> | undefined> {
  const text = await inDataDir(dataDir, async () => await read(fileIn(dataDir)))
  return text === undefined ? undefined : parse(text)
}

async function readSecrets (dataDir: string): Promise<Record<string, string>> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const file = fileIn(dataDir)
  return parse(await read(file) ?? await make(file))
}

function fileIn (dataDir: string): string {
  return join(dataDir, 'secrets.env')
}

/** Names and values, not yet checked. */
function parse (text: string): Record<string, string> {
  return Object.fromEntries(text.split('\n').filter(line => line.includes('=')).map(line => {
    const at = line.indexOf('=')
    return [line.slice(0, at).trim(), line.slice(at + 1).trim()]
  }))
}

async function read (path: string): Promise<string | undefined> {
  const file = await open(path).catch(err => {
    if (err.code !== 'ENOENT') throw err
  })
  if (file === undefined) return undefined
  try {
    assertPrivate(await file.stat(), path)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** Another user may know the secrets, or may have chosen them. */
export class ExposedSecrets extends StartError {}

/** Permission bits: read and write for group and others. */
const OTHERS = 0o066

/**
 * Refuses a file that another user may have read or written: anyone who knows the secrets can forge tokens.
 * @throws ExposedSecrets
 */
export function assertPrivate ({ uid, mode }: Pick<Stats, 'uid' | 'mode'>, path: string): void {
  if (uid !== process.getuid!() && uid !== 0) {
    throw new ExposedSecrets(`${path} belongs to another user, who knows the secrets in it: remove the file, and new secrets are made.`)
  }
  if ((mode & OTHERS) !== 0) {
    throw new ExposedSecrets(`${path} can be read or changed by other users: remove the file, and new secrets are made, or run chmod 600 ${path} if nobody else has read it.`)
  }
}

/** Creates the file atomically. The first process creates it; the others read it. */
async function make (file: string): Promise<string> {
  const lines = developmentSecrets.map(name => `${name}=${randomBytes(64).toString('base64url')}\n`).join('')
  const draft = `${file}.${randomBytes(4).toString('hex')}`
  try {
    await writeFile(draft, lines, { mode: 0o600 })
    await link(draft, file)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'EEXIST') throw err
  } finally {
    await rm(draft, { force: true })
  }
  return (await read(file))!
}
