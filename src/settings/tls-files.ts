import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'

/** The part of the configuration that names PEM files. */
export interface TlsFiles {
  REDIS_URL?: string
  REDIS_CA_FILE?: string
  REDIS_CERT_FILE?: string
  REDIS_KEY_FILE?: string
}

/** PEM, as `tls.connect` takes it. */
export type TlsOptions = Pick<SecureContextOptions, 'ca' | 'cert' | 'key'>

const fileOf = { ca: 'REDIS_CA_FILE', cert: 'REDIS_CERT_FILE', key: 'REDIS_KEY_FILE' } as const

/** Yields a sentence for each mistake in the files or in the variables that name them. A sentence never quotes a file. */
export function * tlsMistakes (config: TlsFiles): Generator<string> {
  const given = Object.values(fileOf).filter(name => config[name] !== undefined)
  if (given.length > 0 && !/^rediss(\+\w+)?:/.test(config.REDIS_URL ?? '')) {
    yield `${given[0]} needs a REDIS_URL over TLS: rediss://, rediss+sentinel:// or rediss+cluster://.`
  }
  if ((config.REDIS_CERT_FILE === undefined) !== (config.REDIS_KEY_FILE === undefined)) {
    yield 'REDIS_CERT_FILE and REDIS_KEY_FILE must be given together.'
    return
  }
  const options: TlsOptions = {}
  for (const [option, name] of Object.entries(fileOf)) {
    try {
      Object.assign(options, readTlsFiles(config, { [option]: name }))
    } catch (err) {
      yield `${name} must be the path of a PEM file that can be read (${(err as NodeJS.ErrnoException).code}).`
      return
    }
  }
  if (!isPem(options)) yield `${given.join(', ')} must be PEM, and the key that of the certificate.`
}

/** Whether all files are PEM and the key belongs to the certificate. Parses the CA file too: Node ignores invalid CA certificates. */
export function isPem (options: TlsOptions): boolean {
  try {
    createSecureContext(options)
    const authorities = [options.ca ?? []].flat()
    authorities.forEach(pem => new X509Certificate(pem))
    return true
  } catch {
    return false
  }
}

/** Reads the files. @throws the file system's error for an unreadable file; `tlsMistakes` reports the same file. */
export function readTlsFiles (config: TlsFiles, names: Record<string, keyof TlsFiles> = fileOf): TlsOptions {
  return Object.fromEntries(Object.entries(names)
    .filter(([, name]) => config[name] !== undefined)
    .map(([option, name]) => [option, readFileSync(config[name]!, 'utf8')]))
}
