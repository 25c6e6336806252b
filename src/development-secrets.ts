import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { completeConfig, developmentSecrets, missingSecrets, type Config, type SecretConfig } from './config.ts'

/**
 * Completes a configuration with the secrets of a development machine: made once, kept under `DATA_DIR` in a file that
 * only its owner can read and a shell can source. Production is always given its own: see config.ts.
 * @throws StartError when the file has been edited and is wrong.
 */
export async function withDevelopmentSecrets (config: Config): Promise<SecretConfig> {
  const isComplete = missingSecrets(config).length === 0
  return completeConfig(config, isComplete ? {} : await readSecrets(config.DATA_DIR))
}

/** The secrets that lie under `dataDir`; `undefined` when none were made. Makes nothing. */
export async function readDevelopmentSecrets (dataDir: string): Promise<Record<string, string> | undefined> {
  const text = await read(fileIn(dataDir))
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

async function read (file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(err => {
    if (err.code !== 'ENOENT') throw err
    return undefined
  })
}

/** The file appears whole or not at all, and whoever is first makes it: others get what they find. */
async function make (file: string): Promise<string> {
  const lines = developmentSecrets.map(name => `${name}=${randomBytes(64).toString('base64url')}\n`).join('')
  const draft = `${file}.${randomBytes(4).toString('hex')}`
  await writeFile(draft, lines, { mode: 0o600 })
  try {
    await link(draft, file)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).code !== 'EEXIST') throw err
  } finally {
    await rm(draft)
  }
  return await readFile(file, 'utf8')
}
