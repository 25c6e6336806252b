import { execFileSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A certificate authority for tests. */
export interface Authority {
  /** The path of its certificate. */
  ca: string
  /** Issues a certificate for localhost and 127.0.0.1. Returns the paths of PEM files. */
  issue (name: string): Promise<{ cert: string, key: string }>
}

const newKey = ['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export async function makeAuthority (folder: string): Promise<Authority> {
  const path = (name: string): string => join(folder, name)
  const openssl = (...args: string[]): void => { execFileSync('openssl', args, { stdio: 'ignore' }) }
  openssl(...newKey, '-x509', '-days', '1', '-subj', '/CN=authority', '-keyout', path('ca.key'), '-out', path('ca.pem'))
  await writeFile(path('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  return {
    ca: path('ca.pem'),
    async issue (name) {
      const [key, request, cert] = [path(`${name}.key`), path(`${name}.csr`), path(`${name}.pem`)] as const
      openssl(...newKey, '-subj', `/CN=${name}`, '-keyout', key, '-out', request)
      openssl('x509', '-req', '-in', request, '-CA', path('ca.pem'), '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '1',
        '-extfile', path('names'), '-out', cert)
      return { cert, key }
    }
  }
}
