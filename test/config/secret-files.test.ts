import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig, loadStoreConfig, secretNames } from '#src/config/environment'
import { Environment } from '#src/config/schema'
import { readSecrets } from '#src/config/secret-files'
import { cli, run } from '../cli/helper.ts'
import { apiKey, privateKey, secret, startRedis, startService, tempFolder } from '../support/helper.ts'

/** `<NAME>_FILE` gives a secret in a file, as Docker and Kubernetes mount it. */

const folder = await tempFolder(t)
let files = 0

/** The path of a new file. */
async function file (text: string): Promise<string> {
  const path = join(folder, String(++files))
  await writeFile(path, text)
  return path
}

function sentences (env: Record<string, string>): string[] {
  try {
    loadConfig(env)
    return []
  } catch (err) {
    return (err as Error).message.split('\n')
  }
}

t.test('every secret variable has a form with _FILE, and no other variable has the name of one', async t => {
  t.same(secretNames, [
    'REDIS_URL', 'REDIS_SENTINEL_PASSWORD', 'ACCESS_TOKEN_SECRETS', 'ACCESS_TOKEN_PRIVATE_KEYS', 'REFRESH_TOKEN_SECRETS',
    'INTERNAL_API_KEY', 'INTERNAL_API_KEYS'
  ])
  const unmarked = Object.keys(Environment.properties).filter(name => /SECRET|PASSWORD|PRIVATE|_KEYS?$/.test(name) && !secretNames.includes(name))
  t.same(unmarked, [])
  t.same(secretNames.filter(name => `${name}_FILE` in Environment.properties), [])
})

t.test('a file gives the same configuration as its variable, with or without a line break at its end', async t => {
  const values: Record<string, string> = {
    REDIS_URL: 'redis+sentinel://service:word@r:26379/main',
    REDIS_SENTINEL_PASSWORD: secret(),
    ACCESS_TOKEN_SECRETS: `${secret()},${secret()}`,
    ACCESS_TOKEN_PRIVATE_KEYS: `${privateKey('EdDSA')}${privateKey('ES256')}`,
    REFRESH_TOKEN_SECRETS: secret(),
    INTERNAL_API_KEY: apiKey,
    INTERNAL_API_KEYS: `login:open+revoke:${secret()}`
  }
  t.same(Object.keys(values), secretNames)
  for (const end of ['', '\n', '\r\n']) {
    const env: Record<string, string> = { NODE_ENV: 'production' }
    for (const [name, value] of Object.entries(values)) env[`${name}_FILE`] = await file(`${value}${end}`)
    t.same(loadConfig(env), loadConfig({ NODE_ENV: 'production', ...values }))
  }
  const REDIS_URL_FILE = await file(values.REDIS_URL!)
  t.equal(loadStoreConfig({ REDIS_URL_FILE }).REDIS_URL, values.REDIS_URL, 'also for the command line')
})

t.test('an empty variable counts as absent beside the file, and an empty path as no path', async t => {
  const INTERNAL_API_KEY_FILE = await file(apiKey)
  t.equal(loadConfig({ INTERNAL_API_KEY: ' ', INTERNAL_API_KEY_FILE }).INTERNAL_API_KEY, apiKey)
  t.equal(loadConfig({ INTERNAL_API_KEY: apiKey, INTERNAL_API_KEY_FILE: ' ' }).INTERNAL_API_KEY, apiKey)
  t.equal(loadConfig({ INTERNAL_API_KEY_FILE: '' }).INTERNAL_API_KEY, undefined)
})

t.test('a mistake is a sentence that names the variable, and quotes neither path nor value', async t => {
  await mkdir(join(folder, 'a-folder'))
  for (const name of secretNames) {
    const variable = `${name}_FILE`
    t.same(sentences({ [name]: 'sesame', [variable]: await file('sesame') }), [`${name} and ${variable} must not be set together: remove one.`])
    for (const [path, code] of [[join(folder, 'sesame'), 'ENOENT'], [join(folder, 'a-folder'), 'EISDIR'], [await file(' \n'), 'it is empty'], ['sesame\0', 'ERR_INVALID_ARG_VALUE']]) {
      t.same(sentences({ NODE_ENV: 'production', [variable]: path! }), [`${variable} must be the path of a file that can be read and is not empty (${code}).`])
    }
  }
  t.same(sentences({ REDIS_URL_FILE: '/nowhere', INTERNAL_API_KEY_FILE: '/nowhere' }).map(sentence => sentence.split(' ')[0]), ['REDIS_URL_FILE', 'INTERNAL_API_KEY_FILE'])
  t.match(sentences({ REFRESH_TOKEN_SECRETS_FILE: await file('sesame') }), [/^REFRESH_TOKEN_SECRETS must be secrets of at least(?!.*sesame)/])
  t.same(readSecrets({ PORT_FILE: '/nowhere' }, ['REDIS_URL']), { values: {}, mistakes: [] }, 'only secrets come from files')
})

t.test('the service starts with its secrets in files, and doctor checks the same files', async t => {
  const { url } = await startRedis(t)
  const env: Record<string, string> = { NODE_ENV: 'production', SHUTDOWN_DELAY: '0' }
  for (const [name, value] of Object.entries({
    REDIS_URL: url, ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEYS: `login:open:${apiKey}`
  })) env[`${name}_FILE`] = await file(`${value}\n`)
  const { internalUrl } = await startService(t, env)
  const opened = await fetch(`${internalUrl}/internal/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` },
    body: JSON.stringify({ userId: 1, email: 'guest@keygenqt.com', role: 'GUEST', deviceId: 'a' })
  })
  t.equal(opened.status, 201)

  const { code, json: { checks } } = await cli(t, ['doctor', '--json'], env)
  t.equal(code, 0)
  t.match(checks.filter(({ name }: { name: string }) => name === 'callers' || name === 'keys'), [
    { message: 'the internal API has 1 key: login (open)' }, { status: 'ok', message: /has every key that running replicas sign with: 2 keys/ }
  ])
  const { json } = await run(['doctor'], { ...env, REFRESH_TOKEN_SECRETS_FILE: '/nowhere' })
  t.match(json.checks[0], {
    name: 'configuration', status: 'fail', message: /^REFRESH_TOKEN_SECRETS_FILE must be the path/, change: /^set REFRESH_TOKEN_SECRETS_FILE where the service is started/
  })
})
