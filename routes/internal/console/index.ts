import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import { Type, type FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { apiKeys } from '#src/config/options'
import { createFeed } from '#src/console/feed'
import { createHistory } from '#src/console/history'
import { COOKIE, createLogins, isSameOrigin, LIFETIME, type Login } from '#src/console/login'
import { overview } from '#src/console/overview'
import { confirmPage, loginPage, messagePage, overviewPage, type Frame } from '#src/console/pages'
import { userPage, userUrl } from '#src/console/user-page'
import { TurnedAway, Unauthorized } from '#src/errors'
import { eventsChannel } from '#src/redis/records'
import { SessionId, UserIdParam } from '#src/schemas/fields'
import { parseUserId } from '#src/tokens/user-id'

const MINUTE = 60_000

/** Log-ins that an address may try in a minute. */
const LOGINS_PER_MINUTE = 10

/** The sessions to end: with `all` every one; otherwise `sid` names the session to end, or to keep. */
const End = Type.Union([
  Type.Object({ id: UserIdParam, which: Type.Literal('all'), sid: Type.Optional(Type.Never()) }),
  Type.Object({ id: UserIdParam, which: Type.Union([Type.Literal('one'), Type.Literal('others')]), sid: SessionId })
])

const headers = {
  'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; form-action 'self'; " +
    "base-uri 'none'; frame-ancestors 'none'",
  // Without the address, browsers would send forms with `Origin: null`.
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'cross-origin-opener-policy': 'same-origin'
}

const asset = (name: string): string => readFileSync(new URL(`../../../src/console/assets/${name}`, import.meta.url), 'utf8')

/** The console: pages for support and security. Absent unless an API key has the scope `console`. */
const routes: FastifyPluginAsyncTypebox = async app => {
  const { config, metrics, redis, store } = app
  const keys = apiKeys(config)
  if (!keys.some(({ scopes }) => scopes.includes('console'))) return

  const logins = createLogins(keys)
  const history = createHistory(metrics)
  const feed = createFeed(redis, eventsChannel(config.REDIS_PREFIX))
  const timer = setInterval(history.tick, MINUTE).unref()
  app.addHook('preClose', async () => {
    clearInterval(timer)
    await feed.close()
  })

  await app.register(cookie)
  await app.register(formbody)
  await app.register(rateLimit, {
    global: false,
    timeWindow: MINUTE,
    max: LOGINS_PER_MINUTE,
    errorResponseBuilder: (_request, { ttl }) => new TurnedAway('address', Math.ceil(ttl / 1000))
  })
  app.addHook('onRoute', route => { route.schema = { ...route.schema, hide: true } as object })
  app.addHook('onRequest', (request, reply, done) => {
    reply.headers(headers)
    const isForeign = request.method === 'POST' && !isSameOrigin(request.headers)
    done(isForeign ? Object.assign(new Error('a form of another site'), { statusCode: 403 }) : undefined)
  })
  app.setErrorHandler(answerError)

  const loginOf = (request: FastifyRequest): Login | undefined => logins.read(request.cookies[COOKIE])

  /** @throws Unauthorized unless the person has logged in. */
  function demandLogin (request: FastifyRequest): Login {
    const login = loginOf(request)
    if (login === undefined) throw new Unauthorized()
    return login
  }

  function answerError (error: FastifyError, request: FastifyRequest, reply: FastifyReply): FastifyReply {
    const { statusCode = 500 } = error
    if (statusCode === 401) return reply.redirect('/console/login', 303)
    if (statusCode >= 500) request.log.error({ err: error, req: request }, 'request failed')
    const login = loginOf(request)
    const [title, message] = errorTexts(error, statusCode)
    return page(reply.code(statusCode), messagePage(title, message, login))
  }

  app.get('/', async (request, reply) => page(reply, overviewPage(demandLogin(request), history, hostname())))

  app.get('/overview', async (request, reply) => {
    demandLogin(request)
    return page(reply, overview(history).html)
  })

  app.get('/events', async (request, reply) => {
    const { expiresAt } = demandLogin(request)
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
    if (!feed.add(reply.raw, expiresAt)) reply.raw.end()
  })

  app.get('/login', async (request, reply) => loginOf(request) === undefined ? page(reply, loginPage(false)) : reply.redirect('/console', 303))

  app.post('/login', {
    config: { rateLimit: {} },
    schema: { body: Type.Object({ key: Type.String({ maxLength: 1024 }) }) }
  }, async (request, reply) => {
    const value = logins.logIn(request.body.key)
    if (value === undefined) {
      request.log.warn('a log-in to the console was refused')
      return page(reply.code(401), loginPage(true))
    }
    request.log.info({ caller: logins.read(value)!.caller }, 'a person has logged in to the console')
    reply.setCookie(COOKIE, value, { ...cookieOptions(request), maxAge: LIFETIME })
    return reply.redirect('/console', 303)
  })

  app.post('/logout', async (request, reply) => {
    reply.clearCookie(COOKIE, cookieOptions(request))
    return reply.redirect('/console/login', 303)
  })

  app.get('/user', {
    schema: { querystring: Type.Object({ id: UserIdParam, ended: Type.Optional(Type.String()) }) }
  }, async (request, reply) => {
    const { caller } = demandLogin(request)
    const { id, ended } = request.query
    return page(reply, userPage({ caller, search: id }, id, await store.as(caller).read(parseUserId(id)!), ended))
  })

  app.get('/end', { schema: { querystring: End } }, async (request, reply) => {
    const { caller } = demandLogin(request)
    const { id, which, sid } = request.query
    const frame: Frame = { caller, search: id }
    const name = sid === undefined ? undefined : (await store.as(caller).read(parseUserId(id)!))?.record[`l:${sid}`] ?? sid
    const question = {
      one: `End the session “${name}” of user ${id}? The device must log in again.`,
      others: `End every session of user ${id} but “${name}”? Every other device must log in again.`,
      all: `End every session of user ${id}? Every device must log in again.`
    }[which]
    const action = { one: 'End this session', others: 'End all others', all: 'End all sessions' }[which]
    const fields = { id, which, ...sid !== undefined && { sid } }
    return page(reply, confirmPage(frame, { question, action, cancel: userUrl(id), fields }))
  })

  app.post('/end', { schema: { body: End } }, async (request, reply) => {
    const { caller } = demandLogin(request)
    const { id, which, sid } = request.body
    const userId = parseUserId(id)!
    if (which === 'one') await store.as(caller).revoke(userId, sid!)
    else await store.as(caller).revokeAll(userId, which === 'others' ? sid : undefined)
    return reply.redirect(userUrl(id, { ended: which }), 303)
  })

  for (const [name, type] of [['console.css', 'text/css'], ['console.js', 'text/javascript']] as const) {
    const text = asset(name)
    app.get(`/${name}`, async (_request, reply) => reply.type(`${type}; charset=utf-8`).send(text))
  }
}

function page (reply: FastifyReply, text: string): FastifyReply {
  return reply.type('text/html; charset=utf-8').send(text)
}

/** Strict: requests by links and forms of other sites carry no cookie. */
function cookieOptions ({ protocol }: FastifyRequest): { httpOnly: true, sameSite: 'strict', path: string, secure: boolean } {
  return { httpOnly: true, sameSite: 'strict', path: '/console', secure: protocol === 'https' }
}

function errorTexts ({ code, message }: FastifyError, status: number): [title: string, message: string] {
  if (code === 'RTS_NOT_REPLICATED') return ['Not on enough replicas', message]
  if (status === 429) return ['Too many log-ins', 'Try again in a minute.']
  if (status === 403) return ['Refused', 'The form came from another site. Nothing has changed.']
  if (status < 500) return ['The request is malformed', 'Nothing has changed. A user id is a number, or a text that is not digits alone.']
  return ['The request failed', 'Redis may be out of reach. If you were ending sessions, open the user\'s page again to see the sessions that are left.']
}

export default routes
