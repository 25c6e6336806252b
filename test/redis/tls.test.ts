import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '#src/config/environment'
import { privateKey, tempFolder } from '../support/helper.ts'
import { makeAuthority } from '../support/authority.ts'

/** Validation of REDIS_CA_FILE, REDIS_CERT_FILE and REDIS_KEY_FILE. */

const sentencesOf = (env: Record<string, string>): string[] => {
  try {
    loadConfig(env)
    return []
  } catch (err) {
    return (err as Error).message.split('\n')
  }
}

t.test('TLS files need a TLS address, a certificate needs its key, and each file must be PEM', async t => {
  const { ca, issue } = await makeAuthority(await tempFolder(t))
  const { cert, key } = await issue('client')
  const REDIS_URL = 'rediss+cluster://a'
  const files = { REDIS_CA_FILE: ca, REDIS_CERT_FILE: cert, REDIS_KEY_FILE: key }
  for (const url of ['rediss://a', 'rediss+sentinel://a/m', REDIS_URL]) t.same(sentencesOf({ REDIS_URL: url, ...files }), [], url)
  for (const env of [{ ...files, REDIS_URL: 'redis://a' }, files]) {
    t.same(sentencesOf(env), ['REDIS_CA_FILE needs a REDIS_URL over TLS: rediss://, rediss+sentinel:// or rediss+cluster://.'])
  }
  for (const env of [{ REDIS_CERT_FILE: cert }, { REDIS_KEY_FILE: key }]) {
    t.same(sentencesOf({ REDIS_URL, ...env }), ['REDIS_CERT_FILE and REDIS_KEY_FILE must be given together.'])
  }
  t.same(sentencesOf({ REDIS_URL, ...files, REDIS_CA_FILE: '/nowhere' }), ['REDIS_CA_FILE must be the path of a PEM file that can be read (ENOENT).'])
  const other = join(await tempFolder(t), 'other.pem')
  for (const text of ['nonsense', privateKey('ES256')]) {
    await writeFile(other, text)
    t.same(sentencesOf({ REDIS_URL, REDIS_CERT_FILE: cert, REDIS_KEY_FILE: other }), ['REDIS_CERT_FILE, REDIS_KEY_FILE must be PEM, and the key that of the certificate.'])
  }
  for (const text of ['', 'nonsense']) {
    await writeFile(other, text)
    t.same(sentencesOf({ REDIS_URL, REDIS_CA_FILE: other }), ['REDIS_CA_FILE must be PEM, and the key that of the certificate.'])
  }
})
