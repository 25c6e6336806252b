// `npm run example`: starts the refresh service with its embedded Redis, the login service and the API service, each in its
// own process, and runs the gateway in front of them in this process. Ctrl-C ends them all.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createGateway } from './gateway.mjs'

const path = name => fileURLToPath(new URL(name, import.meta.url))
const { PATH, PORT = '8080', ACCESS_TOKEN_TTL = '60', DATA_DIR = path('.data') } = process.env

const ending = new AbortController()
for (const event of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(event, () => ending.abort())

function fail (message) {
  if (ending.signal.aborted) return
  console.error(message)
  process.exitCode = 1
  ending.abort()
}

/** Starts a process with only `env` and PATH; resolves with the log line whose message starts with `ready`. */
async function run (file, env, ready) {
  const child = spawn(process.execPath, [path(file)], {
    env: { PATH, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    // Detached, so that the terminal's Ctrl-C does not reach it: it gets only the signal sent by this process.
    detached: true,
    signal: ending.signal
  })
  child.on('error', () => {}) // emitted when `ending` is aborted
  process.once('exit', () => child.kill()) // however this process ends
  child.once('close', () => fail(`${file} has ended, and the example with it.`))
  return await new Promise(resolve => {
    createInterface(child.stdout).on('line', line => {
      const { level, msg, ...rest } = JSON.parse(line)
      if (level > 30) console.log(line)
      if (msg.startsWith(ready)) resolve({ msg, ...rest })
    })
  })
}

async function start () {
  const service = await run('../dist/src/server.js', { PORT: '0', INTERNAL_PORT: '0', DATA_DIR, ACCESS_TOKEN_TTL, DEVICE_ROUTES: 'on' }, 'refresh-token-service is ready')
  const secrets = await readFile(`${DATA_DIR}/secrets.env`, 'utf8')
  const { ACCESS_TOKEN_SECRETS, INTERNAL_API_KEY } = Object.fromEntries(secrets.split('\n').map(line => line.split(/=(.*)/)))
  const validation = { PORT: '0', REDIS_URL: `redis+socket://${pathToFileURL(`${DATA_DIR}/redis/redis.sock`).pathname}`, ACCESS_TOKEN_SECRETS }
  const demo = { DEMO_EMAIL: 'ada@example.com', DEMO_PASSWORD: randomBytes(9).toString('base64url') }
  const listening = 'Server listening at '
  const [login, api] = (await Promise.all([
    run('login.mjs', { PORT: '0', ...demo, INTERNAL_URL: service.internal, INTERNAL_API_KEY }, listening),
    run('api.mjs', validation, listening)
  ])).map(({ msg }) => msg.slice(listening.length))

  const gateway = createGateway([['/api/ps/', service.public], ['/api/', api], ['/login', login]])
  ending.signal.addEventListener('abort', () => gateway.closeAllConnections())
  gateway.on('error', err => fail(`The page can't be served: ${err.message}.`))
  gateway.listen({ port: Number(PORT), host: '127.0.0.1', signal: ending.signal }, () => console.log([
    `The page:      http://127.0.0.1:${gateway.address().port}/`,
    `Log in with:   ${demo.DEMO_EMAIL} and ${demo.DEMO_PASSWORD}`,
    `Internal API:  ${service.internal} with the key in ${DATA_DIR}/secrets.env`,
    'Ctrl-C ends it all.'
  ].join('\n')))
}

start().catch(err => fail(err.message))
