import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { apiKey, environment, recordKeys, secret, startRedis, startService, tempFolder } from './helper.ts'
import { freePort } from './ports.ts'

const headings = [
  '1. A user logs in on two devices: the login service opens two sessions',
  '2. The phone refreshes: the documented request',
  '3. The answer is lost on the way: the phone sends the very same request again',
  '4. A thief copies generation 2 from the phone, and uses it later',
  '5. The user logs out everywhere'
]

const wholeToken = /[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/

/** Ports that nothing listens on, so that a service on this machine is neither found nor disturbed. */
async function freePorts (): Promise<{ PORT: string, INTERNAL_PORT: string }> {
  return { PORT: String(await freePort()), INTERNAL_PORT: String(await freePort()) }
}

interface Run {
  code: number | null
  output: string
  errors: string
  /** What it left in its folder for temporary files. */
  left: string[]
}

/** Runs the demo in this environment; `interruptAt` sends SIGINT once its output holds that text. */
async function runDemo (t: Test, env: Record<string, string>, interruptAt?: string): Promise<Run> {
  const TMPDIR = await tempFolder(t)
  const child = spawn(process.execPath, ['--import', './scripts/typescript.mjs', 'scripts/demo.ts'], {
    env: { PATH: process.env.PATH, TMPDIR, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', chunk => {
    const before = output
    output += chunk
    if (interruptAt !== undefined && !before.includes(interruptAt) && output.includes(interruptAt)) child.kill('SIGINT')
  })
  child.stderr.setEncoding('utf8').on('data', chunk => { errors += chunk })
  const [code] = await once(child, 'close')
  // tsx has a cache there.
  const left = (await readdir(TMPDIR)).filter(name => !name.startsWith('tsx-'))
  return { code, output, errors, left }
}

/** Whether the process that the demo said it started is gone. */
function startedServiceIsGone (output: string): boolean {
  const pid = Number(/so the demo starts one \(process (\d+)\)/.exec(output)?.[1])
  try {
    process.kill(pid, 0)
    return false
  } catch (err) {
    return (err as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

function shown (output: string): string[] {
  return output.split('\n').filter(line => /^\d\. /.test(line))
}

t.test('without a service it starts its own and takes it away again', async t => {
  const DATA_DIR = await tempFolder(t)
  const { code, output, errors, left } = await runDemo(t, { ...await freePorts(), DATA_DIR })
  t.equal(errors, '')
  t.equal(code, 0)
  t.same(shown(output), headings)
  t.match(output, /"refreshToken":"eyJ….{4}" \(generation 4\)/)
  t.notMatch(output, wholeToken)
  t.notOk(output.includes('\x1b'), 'no colours without a terminal')
  t.ok(output.split('\n').every(line => line.length <= 100), 'at most 100 columns')
  t.ok(startedServiceIsGone(output))
  t.same(left, [])
  t.same(await readdir(DATA_DIR), [], 'the data of npm start is as it was')
})

t.test('its own service keeps the default rules and uses the REDIS_URL that is set', async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, { ...await freePorts(), REFRESH_RETRY_WINDOW: '0', MAX_SESSIONS_PER_USER: '1', LOG_LEVEL: 'silent' })
  const before = await redis.client.info('commandstats')
  const { code, output } = await runDemo(t, env)
  t.equal(code, 0)
  t.ok(startedServiceIsGone(output))
  t.notMatch(before, 'cmdstat_hset')
  t.match(await redis.client.info('commandstats'), 'cmdstat_hset')
  t.equal((await recordKeys(redis)).length, 0, 'nothing of the demo stays')
})

t.test('a running service is used, and runs on', async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, await freePorts())
  const service = await startService(t, env)
  const { code, output, errors } = await runDemo(t, env)
  t.equal(errors, '')
  t.equal(code, 0)
  t.match(output, `The service that runs at ${service.internalUrl} tells the story.`)
  t.same(shown(output), headings)
  t.notMatch(output, wholeToken)
  t.notOk(output.includes(apiKey))
  t.equal((await fetch(`${service.internalUrl}/readyz`)).status, 200)
  t.equal((await recordKeys(redis)).length, 0, 'nothing of the demo stays')
})

t.test('a service with another API key', async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, await freePorts())
  const service = await startService(t, env)
  const { code, output, errors } = await runDemo(t, { ...env, INTERNAL_API_KEY: secret() })
  t.equal(code, 1)
  t.equal(output, '')
  t.equal(errors, `The service at ${service.internalUrl} has another INTERNAL_API_KEY: run the demo with the environment and the DATA_DIR of that service, or stop it.\n`)
})

t.test('a service without its Redis', async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, await freePorts())
  const service = await startService(t, env)
  await redis.kill()
  const { code, errors } = await runDemo(t, env)
  t.equal(code, 1)
  t.equal(errors, `The service at ${service.internalUrl} runs but is not ready: redis unavailable.\n`)
})

t.test('a service that does not keep to the story: what was expected, and nothing left behind', async t => {
  const redis = await startRedis(t)
  const env = environment(redis.url, { ...await freePorts(), REFRESH_RETRY_WINDOW: '0' })
  await startService(t, env)
  const { code, output, errors } = await runDemo(t, env)
  t.equal(code, 1)
  t.same(shown(output), headings.slice(0, 3))
  t.match(output.trimEnd(), /← 400 \{"code":400,"message":"Bad Request"\}$/)
  t.equal(errors, '  ✗ Expected: 200 with the five keys; the phone holds generation 2\n')
  t.notMatch(errors, wholeToken)
  t.equal((await recordKeys(redis)).length, 0, 'nothing of the demo stays')
})

t.test('a service that does not start: its own words', async t => {
  const { code, output, errors, left } = await runDemo(t, { ...await freePorts(), PATH: '/nowhere' })
  t.equal(code, 1)
  t.match(errors, /^The service did not start:\n.*no redis-server or valkey-server on the PATH/)
  t.ok(startedServiceIsGone(output))
  t.same(left, [])
})

for (const [moment, sign] of [['while its service starts', 'starts one'], ['in the middle of the story', headings[0]!]] as const) {
  t.test(`Ctrl-C ${moment} takes the service away too`, async t => {
    const { code, output, errors, left } = await runDemo(t, await freePorts(), sign)
    t.equal(code, 130)
    t.equal(errors, '')
    t.ok(startedServiceIsGone(output))
    t.same(left, [])
  })
}
