import { randomBytes } from 'node:crypto'
import t from 'tap'
import { loadConfig, missingSecrets, trustProxy } from '#src/config/environment'
import { apiKeys } from '#src/config/options'
import { StartError } from '#src/errors'
import { scopes } from '#src/settings/api-keys'
import { apiKey, secret } from '../support/helper.ts'

function sentences (env: Record<string, string>): string[] {
  try {
    loadConfig(env)
    return []
  } catch (err) {
    if (!(err instanceof StartError)) throw err
    return err.message.split('\n')
  }
}

t.test('has the documented defaults', async t => {
  t.same(loadConfig({}), {
    NODE_ENV: 'development',
    HOST: '127.0.0.1',
    PORT: 3000,
    INTERNAL_HOST: '127.0.0.1',
    INTERNAL_PORT: 3001,
    REDIS_PREFIX: 'rt:',
    REDIS_WAIT_REPLICAS: 0,
    JWT_ISSUER: 'ktor.io',
    ACCESS_TOKEN_FORMAT: 'documented',
    ACCESS_TOKEN_TTL: 900,
    REFRESH_IDLE_TTL: 2592000,
    REFRESH_ABSOLUTE_TTL: 31536000,
    REFRESH_RETRY_WINDOW: 30,
    MAX_SESSIONS_PER_USER: 50,
    MAX_REFRESHES_IN_FLIGHT: 500,
    MAX_CONNECTIONS_PER_ADDRESS: 1000,
    RATE_LIMIT_PER_ADDRESS: 'off',
    RATE_LIMIT_PER_SESSION: 'off',
    DPOP: 'off',
    COOKIE_SESSIONS: 'off',
    COOKIE_SAME_SITE: 'strict',
    LEGACY_TOKENS: 'off',
    DEVICE_ROUTES: 'off',
    EVENTS_STREAM: 'off',
    SHUTDOWN_DELAY: 0,
    DATA_DIR: '.data',
    LOG_LEVEL: 'info',
    TRUST_PROXY: 'off'
  })
})

t.test('treats an empty value as absent and trims blanks', async t => {
  t.match(loadConfig({ REDIS_URL: '', PORT: ' 4000 ' }), { REDIS_URL: undefined, PORT: 4000 })
})

t.test('reads process.env by default', async t => {
  t.equal(loadConfig().REDIS_URL, undefined)
})

t.test('production requires REDIS_URL and secrets, and has a SHUTDOWN_DELAY of 5 seconds', async t => {
  const production = { NODE_ENV: 'production', REDIS_URL: 'redis://r', ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEY: apiKey }
  t.equal(loadConfig(production).SHUTDOWN_DELAY, 5)
  t.equal(loadConfig({ ...production, SHUTDOWN_DELAY: '0' }).SHUTDOWN_DELAY, 0)
  const required = ['REDIS_URL', 'ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS', 'INTERNAL_API_KEY']
  t.match(sentences({ NODE_ENV: 'production' }), required.map(name => new RegExp(`^${name} is required when NODE_ENV is production\\. It must be .+\\.$`)))
})

t.test('only production refuses secrets that do not look random', async t => {
  const production = { NODE_ENV: 'production', REDIS_URL: 'redis://r', ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEY: apiKey }
  const weak = ['a'.repeat(64), 'abcdefgh'.repeat(8), '0123456789'.repeat(7), `change-me-${secret()}`, `${secret()}Password`]
  for (const name of ['ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS', 'INTERNAL_API_KEY'] as const) {
    for (const value of weak) {
      const found = sentences({ ...production, [name]: value })
      t.same(found, [`${name} must look random when NODE_ENV is production. Make it with: openssl rand -base64 64 | tr -d '\\n'`])
      t.same(sentences({ [name]: value }), [])
      if (name !== 'INTERNAL_API_KEY') t.equal(sentences({ ...production, [name]: `${secret()},${value}` }).length, 1, 'also as the second secret of a list')
    }
  }
  for (const value of [randomBytes(64).toString('base64'), randomBytes(32).toString('hex')]) {
    t.same(sentences({ ...production, ACCESS_TOKEN_SECRETS: value }), [])
  }
  t.same(sentences({ ...production, INTERNAL_API_KEY: '012345678'.repeat(4) }), [], 'a short text has fewer different characters')
})

t.test('the format rfc9068 requires an audience', async t => {
  const sentence = 'ACCESS_TOKEN_AUDIENCE is required when ACCESS_TOKEN_FORMAT is rfc9068: it names the services that accept the tokens (RFC 9068 section 2.2).'
  t.same(sentences({ ACCESS_TOKEN_FORMAT: 'rfc9068' }), [sentence])
  t.same(sentences({ ACCESS_TOKEN_FORMAT: 'rfc9068', ACCESS_TOKEN_AUDIENCE: 'https://a.example, b' }), [])
})

t.test('rejects Sentinel credentials with a REDIS_URL of another kind', t => {
  const sentence = 'REDIS_SENTINEL_PASSWORD needs a REDIS_URL of Sentinels: redis+sentinel://host:port,…/master.'
  for (const REDIS_URL of ['', 'redis://r', 'redis+cluster://r']) t.same(sentences({ REDIS_URL, REDIS_SENTINEL_PASSWORD: 'x' }), [sentence])
  t.same(sentences({ REDIS_SENTINEL_USERNAME: 'x' }), [sentence.replace('PASSWORD', 'USERNAME')])
  t.same(sentences({ REDIS_URL: 'rediss+sentinel://r/main', REDIS_SENTINEL_USERNAME: 'x', REDIS_SENTINEL_PASSWORD: 'x' }), [])
  t.end()
})

t.test('an invalid value is reported with its rule, without the value', async t => {
  const wrong: Record<string, string[]> = {
    NODE_ENV: ['prod', 'staging'],
    PORT: ['x', '0x10', '1e3', '65536', '-1', '3000.5', '1 2'],
    INTERNAL_PORT: ['x'],
    REDIS_URL: ['localhost', 'http://localhost', 'redis://', 'redis://h/x', 'redis://h:port', 'redis+socket://host/path', 'redis+socket:///', 'redis+socket:///p?db=x', 'redis://%zz@h', 'redis+socket:///%zz'],
    REDIS_PREFIX: ['a b:', '{a}:', `${'x'.repeat(64)}:`, 'a*:', 'rt', 'rt:1', 'rt:meta:', 'rt:limit:session:'],
    ACCESS_TOKEN_SECRETS: ['short', `${secret()},short`, `${secret()},`],
    REFRESH_TOKEN_SECRETS: ['x'.repeat(63)],
    INTERNAL_API_KEY: ['x'.repeat(31), `${'x'.repeat(32)} x`],
    INTERNAL_API_KEYS: [
      apiKey, `a:${apiKey}`, `a:open:${'x'.repeat(31)}`, `a:open:${apiKey}:x`, `a:open:${apiKey} x`, `a:open:${apiKey},`, `a:open:${apiKey},x`,
      `a:open:${apiKey},b:read:${apiKey}`, `a:open:${apiKey},a:open:${apiKey}`,
      `a:opens:${apiKey}`, `a:Open:${apiKey}`, `a::${apiKey}`, `a:open+:${apiKey}`, `a:open,read:${apiKey}`, `a:open++read:${apiKey}`, `a:*:${apiKey}`,
      `:open:${apiKey}`, `A:open:${apiKey}`, `1:open:${apiKey}`, `a b:open:${apiKey}`, `default:open:${apiKey}`, `client:open:${apiKey}`, `${'a'.repeat(33)}:open:${apiKey}`
    ],
    ACCESS_TOKEN_CLAIMS: ['name', 'email,', 'email role', 'EMAIL'],
    ACCESS_TOKEN_FORMAT: ['jwt', 'RFC9068', 'rfc9068,documented'],
    ACCESS_TOKEN_AUDIENCE: ['a b', 'a,', ',a', 'a,,b', 'x'.repeat(1001)],
    ACCESS_TOKEN_TTL: ['0', '1.5', 'x'],
    REFRESH_IDLE_TTL: ['0'],
    REFRESH_ABSOLUTE_TTL: ['0'],
    REFRESH_RETRY_WINDOW: ['-1', '3601'],
    MAX_SESSIONS_PER_USER: ['0', '1001'],
    MAX_REFRESHES_IN_FLIGHT: ['0', '100001'],
    MAX_CONNECTIONS_PER_ADDRESS: ['-1', '10001'],
    RATE_LIMIT_PER_ADDRESS: ['on', '0/60', '30/0', '30', '30/60s', '1.5/60', '30/60/60', '1000000/60'],
    RATE_LIMIT_PER_SESSION: ['on'],
    CORS_ORIGINS: ['*', 'app.example.com', 'https://app.example.com/', 'https://app.example.com/x', 'https://*.example.com', 'https://App.example.com',
      'https://app.example.com:443', 'http://a:99999', 'https://u@a', 'https://a,', 'null', 'https://[::x]'],
    SHUTDOWN_DELAY: ['-1', '601', 'x'],
    LOG_LEVEL: ['verbose'],
    TRUST_PROXY: ['1', 'yes', '10.0.0.0/33', '0.0.0.0/0', '::1/129', '10.0.0.1/', '10.0.0.1/8/8', 'a,10.0.0.1']
  }
  for (const [name, values] of Object.entries(wrong)) {
    for (const value of values) {
      const found = sentences({ [name]: value })
      t.equal(found.length, 1, `${name}=${value}`)
      t.match(found[0], new RegExp(`^${name} must be .+\\.$`))
      if (value.length > 20) t.notOk(found[0]!.includes(value))
    }
  }
  t.equal(sentences({ PORT: 'x', LOG_LEVEL: 'x' }).length, 2, 'reports all invalid variables together')
})

t.test('rejects a secret that is used twice', async t => {
  const shared = secret()
  t.match(sentences({ ACCESS_TOKEN_SECRETS: shared, REFRESH_TOKEN_SECRETS: `${secret()},${shared}` }), [/^REFRESH_TOKEN_SECRETS must share no secret/])
  t.match(sentences({ ACCESS_TOKEN_SECRETS: `${shared}, ${shared}` }), [/^ACCESS_TOKEN_SECRETS must be .* no two alike/])
  for (const name of ['ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS']) {
    t.match(sentences({ [name]: `${secret()},${shared}`, INTERNAL_API_KEY: shared }), [/^INTERNAL_API_KEY must be no secret of tokens/])
    const keys = `a:open:${apiKey},b:open:${shared}`
    t.match(sentences({ [name]: `${secret()},${shared}`, INTERNAL_API_KEYS: keys }), [/^INTERNAL_API_KEYS must be no secret of tokens/])
  }
  t.same(sentences({ INTERNAL_API_KEY: apiKey, INTERNAL_API_KEYS: `a:open:${apiKey}` }), [
    'INTERNAL_API_KEYS must not have the INTERNAL_API_KEY: that key has every scope.'
  ])
})

t.test('reads the keys of callers; INTERNAL_API_KEY has every scope', async t => {
  const [one, two] = [secret(), secret()]
  t.same(apiKeys(loadConfig({ INTERNAL_API_KEYS: `login:open+revoke:${one}, login:open:${two}` })), [
    { name: 'login', scopes: ['open', 'revoke'], key: one }, { name: 'login', scopes: ['open'], key: two }
  ])
  t.same(apiKeys(loadConfig({ INTERNAL_API_KEY: apiKey, INTERNAL_API_KEYS: `${'a'.repeat(32)}:console:${one}` })), [
    { name: 'default', scopes, key: apiKey }, { name: 'a'.repeat(32), scopes: ['console'], key: one }
  ])
  t.same(apiKeys(loadConfig({})), [])
})

t.test('needs no INTERNAL_API_KEY beside INTERNAL_API_KEYS', async t => {
  const production = { NODE_ENV: 'production', REDIS_URL: 'redis://r', ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret() }
  t.same(sentences({ ...production, INTERNAL_API_KEYS: `login:open:${apiKey}` }), [])
  t.match(sentences({ ...production, INTERNAL_API_KEYS: `login:open:${'abcdefgh'.repeat(8)}` }), [/^INTERNAL_API_KEYS must look random when NODE_ENV is production/])
  t.same(missingSecrets(loadConfig({ INTERNAL_API_KEYS: `login:open:${apiKey}` })), ['ACCESS_TOKEN_SECRETS', 'REFRESH_TOKEN_SECRETS'])
})

t.test('accepts origins of web and app pages', async t => {
  for (const list of ['https://app.example.com', 'http://localhost:5173, https://a.example:8443', 'capacitor://localhost', 'http://[::1]:3000']) {
    t.equal(loadConfig({ CORS_ORIGINS: list }).CORS_ORIGINS, list)
  }
})

t.test('reads TRUST_PROXY as on, off or a list of addresses', async t => {
  const values = { off: false, on: true, '10.0.0.1': '10.0.0.1', '10.0.0.0/8, ::1/128': '10.0.0.0/8, ::1/128' }
  for (const [text, value] of Object.entries(values)) t.equal(trustProxy(loadConfig({ TRUST_PROXY: text })), value)
})

t.test('OAUTH_ISSUER is an origin of https, or of http on this machine; with rfc9068 it is the JWT_ISSUER', async t => {
  for (const issuer of ['https://id.example.com', 'https://id.example.com:8443', 'http://localhost:3000', 'http://127.0.0.1:3000', 'http://[::1]:3000']) {
    t.same(sentences({ OAUTH_ISSUER: issuer }), [], issuer)
  }
  for (const issuer of [
    'https://id.example.com/', 'https://id.example.com/oauth', 'https://id.example.com?a', 'https://id.example.com#a', 'https://ID.example.com',
    'https://id.example.com:443', 'https://user@id.example.com', 'http://id.example.com', 'http://localhost.example.com', 'id.example.com', 'ftp://localhost'
  ]) {
    t.match(sentences({ OAUTH_ISSUER: issuer }), [/^OAUTH_ISSUER must be the address of this service for OAuth clients, .+ without a path;/], issuer)
  }
  const rfc9068 = { ACCESS_TOKEN_FORMAT: 'rfc9068', ACCESS_TOKEN_AUDIENCE: 'api', OAUTH_ISSUER: 'https://id.example.com' }
  t.match(sentences(rfc9068), [/^OAUTH_ISSUER must be the JWT_ISSUER when ACCESS_TOKEN_FORMAT is rfc9068:/])
  t.same(sentences({ ...rfc9068, JWT_ISSUER: 'https://id.example.com' }), [])
  t.same(sentences({ OAUTH_ISSUER: 'https://id.example.com' }), [], 'the documented format has any issuer')
})
