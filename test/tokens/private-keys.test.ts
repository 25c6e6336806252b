import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { calculateJwkThumbprint, exportJWK, importSPKI } from 'jose'
import t from 'tap'
import { loadConfig } from '#src/config/environment'
import { StartError } from '#src/errors'
import { parsePrivateKeys } from '#src/tokens/private-keys'
import { privateKey, secret, tempFolder } from '../support/helper.ts'

/** Valid values of ACCESS_TOKEN_PRIVATE_KEYS, and the error messages for invalid ones. */

const MUST_BE = 'ACCESS_TOKEN_PRIVATE_KEYS must be PEM private keys, or paths of files with them, separated by commas: ' +
  'Ed25519, P-256 or RSA of at least 2048 bits, not encrypted, no two alike.'

const pem = (key: KeyObject, type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8'): string => key.export({ type, format: 'pem' }) as string
const ed25519 = (): KeyObject => generateKeyPairSync('ed25519').privateKey
const ec = (namedCurve: string, paramEncoding: 'named' | 'explicit' = 'named'): KeyObject =>
  generateKeyPairSync('ec', { namedCurve, paramEncoding }).privateKey
const rsa = (modulusLength: number): KeyObject => generateKeyPairSync('rsa', { modulusLength }).privateKey

/** The kid and algorithm of each key in the list, as a start reads it. */
function read (list: string): Array<{ kid: string, algorithm: string }> {
  return parsePrivateKeys(loadConfig({ ACCESS_TOKEN_PRIVATE_KEYS: list }).ACCESS_TOKEN_PRIVATE_KEYS!)
}

const algorithms = (list: string): string[] => read(list).map(({ algorithm }) => algorithm)

function sentence (list: string): string {
  try {
    loadConfig({ ACCESS_TOKEN_PRIVATE_KEYS: list })
    return 'no sentence'
  } catch (err) {
    if (!(err instanceof StartError)) throw err
    return err.message
  }
}

t.test('accepts three kinds of keys, each with one algorithm, in every format of OpenSSL', async t => {
  const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
  const spellings: Record<string, [string, string]> = {
    'Ed25519, PKCS #8': [pem(ed25519()), 'EdDSA'],
    'P-256, PKCS #8': [pem(ec('P-256')), 'ES256'],
    'P-256, SEC 1': [pem(ec('P-256'), 'sec1'), 'ES256'],
    'P-256, SEC 1 after its parameters': [parameters + pem(ec('P-256'), 'sec1'), 'ES256'],
    'P-256, explicit curve parameters': [pem(ec('P-256', 'explicit')), 'ES256'],
    'RSA, PKCS #8': [pem(rsa(2048)), 'RS256'],
    'RSA, PKCS #1': [pem(rsa(3072), 'pkcs1'), 'RS256'],
    'a PEM in one line': [pem(ed25519()).replaceAll('\n', '\\n'), 'EdDSA'],
    'a PEM with Windows line breaks': [pem(ed25519()).replaceAll('\n', '\r\n'), 'EdDSA'],
    'a PEM after other text': [`Bag Attributes: none\n${pem(ed25519())}`, 'EdDSA']
  }
  for (const [what, [text, algorithm]] of Object.entries(spellings)) t.same(algorithms(text), [algorithm], what)
})

t.test('accepts lists of keys: commas, consecutive PEM blocks, files, and all of them together', async t => {
  const folder = await tempFolder(t)
  const [a, b, c, d] = [ed25519(), ec('P-256'), rsa(2048), ed25519()].map(key => pem(key)) as [string, string, string, string]
  const files = [join(folder, 'one.pem'), join(folder, 'two.pem')] as const
  await writeFile(files[0], `Made by A, B and C\n${c}`)
  await writeFile(files[1], `${b}friendlyName: d, the second\n${d}`)
  const kid = (text: string): string => read(text)[0]!.kid
  const kids = (list: string): string[] => read(list).map(key => key.kid)

  t.same(kids(`${a},${b}`), [kid(a), kid(b)])
  t.same(kids(` ${a} , ${b} `), [kid(a), kid(b)])
  t.same(kids(a + b), [kid(a), kid(b)])
  t.same(kids(`${files[0]}, ${a},${files[1]}`), [kid(c), kid(a), kid(b), kid(d)])
  t.same(kids(`HS512, ${files[1]}`), [kid(b), kid(d)], 'HS512 stands for the secrets and is not a key')
  const once = loadConfig({ ACCESS_TOKEN_PRIVATE_KEYS: `HS512,${files[1]},${a}`, ACCESS_TOKEN_SECRETS: secret() }).ACCESS_TOKEN_PRIVATE_KEYS!
  t.equal(loadConfig({ ACCESS_TOKEN_PRIVATE_KEYS: once }).ACCESS_TOKEN_PRIVATE_KEYS, once, 'a file is read only once')
})

t.test('kid and public JWK equal those that jose computes', async t => {
  for (const text of [privateKey('EdDSA'), privateKey('ES256'), privateKey('RS256')]) {
    const { kid, algorithm, jwk, public: publicPem } = parsePrivateKeys(text)[0]!
    const theirs = await exportJWK(await importSPKI(publicPem, algorithm, { extractable: true }))
    t.equal(kid, await calculateJwkThumbprint(theirs))
    t.same(jwk, { ...theirs, kid, alg: algorithm, use: 'sig' })
  }
})

t.test('an invalid list ends the start with a sentence that does not show it', async t => {
  const folder = await tempFolder(t)
  const empty = join(folder, 'empty.pem')
  await writeFile(empty, 'nothing here')
  await mkdir(join(folder, 'keys'))
  const [good, again] = [ed25519(), ec('P-256')]
  const cipher = { cipher: 'aes-256-cbc', passphrase: 'x', format: 'pem' } as const
  const unread = 'Key 1 can\'t be read as a private key.'
  const kinds = 'is neither Ed25519, P-256 nor RSA.'

  const wrong: Record<string, [string, string]> = {
    'P-384': [pem(ec('P-384')), `Key 1 ${kinds}`],
    secp256k1: [pem(ec('secp256k1')), `Key 1 ${kinds}`],
    Ed448: [pem(generateKeyPairSync('ed448').privateKey), `Key 1 ${kinds}`],
    X25519: [pem(generateKeyPairSync('x25519').privateKey), `Key 1 ${kinds}`],
    'RSA-PSS': [pem(generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).privateKey), `Key 1 ${kinds}`],
    'RSA of 1024 bits, in the second place': [pem(good) + pem(rsa(1024)), 'Key 2 is an RSA key of 1024 bits.'],
    'RSA of 2040 bits': [pem(rsa(2040)), 'Key 1 is an RSA key of 2040 bits.'],
    'encrypted PKCS #8': [good.export({ type: 'pkcs8', ...cipher }) as string, 'Key 1 is encrypted.'],
    'encrypted SEC 1': [join(folder, 'encrypted.pem'), 'Key 1 is encrypted.'],
    'a public key': [generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }) as string, unread],
    'a certificate': ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', unread],
    'a truncated key': [pem(good).slice(0, 60), unread],
    'a key without line breaks': [pem(good).replaceAll('\n', ' '), unread],
    'a key twice': [`${pem(good)},${pem(again)},${pem(good).replaceAll('\n', '\\n')}`, 'Key 3 is key 1 again.'],
    'one key in two formats': [pem(again) + pem(again, 'sec1'), 'Key 2 is key 1 again.'],
    'a key without PEM header and footer': [pem(good).split('\n')[1]!, 'Entry 1 is neither PEM nor a file that can be read (ENOENT).'],
    'no such file': [`${pem(good)},${join(folder, 'none.pem')}`, 'Entry 2 is neither PEM nor a file that can be read (ENOENT).'],
    'a folder': [join(folder, 'keys'), 'Entry 1 is neither PEM nor a file that can be read (EISDIR).'],
    'a file without a key': [empty, 'Entry 1 is a file without PEM.'],
    'a comma too many': [`${pem(good)},`, 'Entry 2 is neither PEM nor a file that can be read (ENOENT).'],
    'HS512 alone': ['HS512', 'There is no key.'],
    'HS512 after a key': [`${pem(good)},HS512`, 'Entry 2 is neither PEM nor a file that can be read (ENOENT).'],
    'parameters alone': ['-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----', 'There is no key.']
  }
  await writeFile(join(folder, 'encrypted.pem'), again.export({ type: 'sec1', ...cipher }))
  for (const [what, [list, reason]] of Object.entries(wrong)) t.equal(sentence(list), `${MUST_BE} ${reason}`, what)
})

t.test('needs no access token secret if a key signs, but needs one if the secrets sign', async t => {
  const production = { NODE_ENV: 'production', REDIS_URL: 'redis://r', REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEY: secret() }
  t.equal(loadConfig({ ...production, ACCESS_TOKEN_PRIVATE_KEYS: privateKey('EdDSA') }).ACCESS_TOKEN_SECRETS, undefined)
  t.throws(() => loadConfig({ ...production, ACCESS_TOKEN_PRIVATE_KEYS: `HS512,${privateKey('EdDSA')}` }),
    { message: /^ACCESS_TOKEN_SECRETS is required when NODE_ENV is production\. It must be [^\n]+\.$/ })
})

t.test('accepts secrets and keys made by the commands of docs/keys.md', async t => {
  const cwd = await tempFolder(t)
  const blocks = [...(await readFile('docs/keys.md', 'utf8')).matchAll(/```sh\n([^]*?)```/g)].map(([, script]) => script!)
  const [made, , oneLine] = blocks.map(script => execFileSync('bash', ['-c', script], { cwd, encoding: 'utf8', stdio: 'pipe' }))
  t.equal(loadConfig({ ACCESS_TOKEN_SECRETS: made! }).ACCESS_TOKEN_SECRETS, made)
  t.same(algorithms(['ed25519', 'p256', 'rsa'].map(name => join(cwd, `${name}.pem`)).join()), ['EdDSA', 'ES256', 'RS256'])
  t.same(read(oneLine!), read(join(cwd, 'ed25519.pem')))
  t.notOk(oneLine!.includes('\n'))
})
