import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import axios, { type AxiosInstance } from 'axios'
import ky, { type KyInstance } from 'ky'
import t, { type Test } from 'tap'
import { createSession, memoryStorage, type Session } from '../../packages/client/src/index.ts'
import { build, guest, startRedis } from '../support/helper.ts'

/** The recipes of docs/clients.md, as they are printed there, against the real service and an API that refuses one access token. */

const page = await readFile('docs/clients.md', 'utf8')

/** Runs the code block below a heading, without its imports, and returns one of its constants. */
function recipe<T> (heading: string, names: Record<string, unknown>, result: string): T {
  const code = page.split(`\n## ${heading}\n`)[1]!.split('```js\n')[1]!.split('```')[0]!
  const body = `${code.replace(/^import .*\n|^export /gm, '')}\nreturn ${result}`
  return new Function(...Object.keys(names), body)(...Object.values(names)) // eslint-disable-line no-new-func
}

interface World {
  session: Session
  url: string
  /** The API answers 401 to these access tokens. */
  refused: Set<string>
  /** Method and body of each request to the API. */
  seen: string[]
  generation (): Promise<number>
  /** Ends the session at the service. */
  end (): Promise<void>
}

async function start (t: Test): Promise<World> {
  const service = await build(t, await startRedis(t))
  const refreshUrl = `${await service.public.listen({ host: '127.0.0.1', port: 0 })}/api/ps/refresh`
  const refused = new Set<string>()
  const seen: string[] = []
  const api = createServer(async (request, response) => {
    const token = request.headers.authorization?.replace('Bearer ', '') ?? ''
    let body = ''
    for await (const chunk of request) body += chunk
    seen.push(`${request.method} ${body}`)
    response.writeHead(refused.has(token) || token === '' ? 401 : 200, { 'Content-Type': 'application/json' }).end('{"ok":true}')
  })
  await once(api.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { api.close() })
  t.teardown(() => { api.closeAllConnections() })

  const tokens = await service.open()
  // Two access tokens of one second differ by their claims.
  await service.call('PATCH', '/internal/users/1', { userClaims: { plan: 'gold' } })
  const session = createSession({ refreshUrl, deviceId: guest.deviceId, storage: memoryStorage() })
  await session.logIn(tokens)
  refused.add(tokens.token)
  return {
    session,
    refused,
    seen,
    url: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
    generation: async () => (await service.call('GET', '/internal/users/1/sessions')).json().sessions[0].generation,
    end: async () => { await service.call('DELETE', '/internal/users/1/sessions') }
  }
}

/** Checks a recipe: `post` sends `{"a":1}` and resolves with the parsed answer. */
async function check (t: Test, { session, refused, seen, generation, end }: World, post: () => Promise<unknown>): Promise<void> {
  const answers = await Promise.all(Array.from({ length: 20 }, post))
  t.same(answers, answers.map(() => ({ ok: true })))
  t.equal(await generation(), 2, 'one refresh for all')
  t.same([...new Set(seen)], ['POST {"a":1}'])
  t.equal(seen.length, 40, 'each is repeated once')

  await end()
  refused.add(await session.getAccessToken())
  seen.length = 0
  const err = await post().then(() => undefined, err => err)
  t.match(err, { name: 'SessionError', code: 'logged-out' })
  t.equal(seen.length, 1)
  t.match(await post().then(() => undefined, err => err), { name: 'SessionError', code: 'logged-out' })
  t.equal(seen.length, 1, 'without a session nothing is sent')
}

const body = { a: 1 }

t.test('plain fetch', async t => {
  const world = await start(t)
  const headers = { 'Content-Type': 'application/json' }
  await check(t, world, async () => {
    const response = await world.session.fetch(world.url, { method: 'POST', headers, body: JSON.stringify(body) })
    return await response.json()
  })
})

t.test('axios', async t => {
  const world = await start(t)
  const api = recipe<AxiosInstance>('axios', { axios, session: world.session }, 'api')
  await check(t, world, async () => (await api.post(world.url, body)).data)
})

t.test('axios: a second 401 is the caller\'s, and so are other errors', async t => {
  const world = await start(t)
  const session = { ...world.session, getAccessToken: async () => [...world.refused][0]! }
  const api = recipe<AxiosInstance>('axios', { axios, session }, 'api')
  t.match(await api.get(world.url).catch(err => err), { name: 'AxiosError', response: { status: 401 } })
  t.equal(world.seen.length, 2)
  t.match(await api.get('http://127.0.0.1:1/').catch(err => err), { isAxiosError: true, code: 'ECONNREFUSED' })
})

t.test('ky', async t => {
  const world = await start(t)
  const api = recipe<KyInstance>('ky', { ky, session: world.session }, 'api')
  await check(t, world, async () => await api.post(world.url, { json: body }).json())
})

t.test('ky does not retry a call of a user who is logged out', async t => {
  const world = await start(t)
  let calls = 0
  const session = {
    ...world.session,
    fetch: async (...args: Parameters<typeof fetch>) => {
      calls++
      return await world.session.fetch(...args)
    }
  }
  const api = recipe<KyInstance>('ky', { ky, session }, 'api')
  await world.end()
  t.match(await api.get(world.url).json().catch(err => err), { code: 'logged-out' })
  t.equal(calls, 1)
})
