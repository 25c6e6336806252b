import type { FastifyInstance, FastifyPluginCallback } from 'fastify'
import fp from 'fastify-plugin'
import { sessionOptions } from '#src/config/options'
import { createCore, type Core, type OnEvent } from '#src/core/core'
import { createSigning } from '#src/core/signing'
import type { Reporter } from '#src/core/error-handler'
import { createProofOf } from '#src/dpop/refresh'
import { watchForStalls } from '#src/http/stall'
import { createRejectionLog } from '#src/overload/rejection-log'
import { eachEnd, isOpened } from '#src/sessions/replies'
import type { ScriptObserver } from '#src/sessions/runner'
import { createSessionStore } from '#src/sessions/store'
import { openConnections } from './connections.ts'
import { readOptions, type RefreshTokensOptions, type Settings } from './options.ts'
import { clientRoutes, discoveryRoutes, oauthRoutes } from './routes.ts'
import { createSessions, type Sessions } from './sessions.ts'

const cores = new WeakMap<Sessions, Core>()

/** Returns the core behind a decorator, for the service. */
export function coreOf (sessions: Sessions): Core {
  return cores.get(sessions)!
}

/**
 * Fastify plugin: routes for clients under `routes.prefix`, `app.sessions` for the app and, with `oauthIssuer`, OAuth under
 * `/oauth` and `/.well-known`. Reads no environment, handles no signal.
 * @throws TypeError that names a wrong option; Error when Redis can't be used.
 */
export const refreshTokens: FastifyPluginCallback<RefreshTokensOptions> = fp<RefreshTokensOptions>(async (app, options) => {
  const settings = readOptions(options)
  const { prefix, decoratorName, host } = settings
  if (app.hasDecorator(decoratorName)) {
    throw new TypeError(`decoratorName must be another name than ${decoratorName}, which the app has already. ` +
      'A second instance needs its own: decoratorName: \'adminSessions\'.')
  }
  const reporter = host?.reporter ?? createReporter(app)
  const core = await openCore(app, settings)
  const sessions = createSessions(core, settings.config)
  cores.set(sessions, core)
  app.decorate(decoratorName, sessions)
  // The service does so itself, before it listens.
  if (host === undefined) app.addHook('onListen', async () => { watchForStalls() })
  if (prefix === undefined) return
  await app.register(clientRoutes, { prefix, core, reporter, config: settings.config })
  if (settings.config.OAUTH_ISSUER === undefined) return
  const oauth = { core, config: settings.config, clients: host?.clients }
  await app.register(oauthRoutes, { reporter, ...oauth })
  await app.register(discoveryRoutes, { prefix: '/.well-known', ...oauth })
}, { name: 'refresh-token-service', fastify: '5.x' })

async function openCore (app: FastifyInstance, settings: Settings): Promise<Core> {
  const { config, host, claims } = settings
  const { close, ...connections } = host === undefined ? await openConnections(settings, app.log) : { ...host, close: () => {} }
  const onEvent = settings.onEvent && withoutErrors(settings.onEvent, app)
  const { redis, waitForReplicas } = connections
  const store = createSessionStore(redis, {
    ...sessionOptions(config), waitForReplicas, observe: host?.observe ?? (onEvent && createObserver(onEvent))
  })
  app.addHook('onClose', async () => {
    store.release()
    close()
  })
  // Not fatal: Redis may soon accept writes.
  await store.probe().catch(err => app.log.warn({ err }, 'Redis would not run a refresh now'))
  return createCore({
    ...await createSigning(config),
    store,
    claims,
    proofOf: createProofOf(config),
    legacyTokens: config.LEGACY_TOKENS === 'on',
    onEvent,
    log: app.log,
    limits: host?.limits ?? { concurrencyLimit: { acquire () {}, release () {} }, limitSession: undefined },
    count: host?.reporter.count ?? (() => {})
  })
}

/** Reports in the log of the app, at most once a second. */
function createReporter (app: FastifyInstance): Reporter {
  const turnedAway: Reporter['turnedAway'] = createRejectionLog(counts => { app.log.warn({ turnedAway: counts }, 'requests were turned away') })
  const refused: Reporter['refused'] = createRejectionLog(counts => { app.log.info({ refused: counts }, 'requests were refused') })
  app.addHook('onClose', async () => {
    turnedAway.flush()
    refused.flush()
  })
  return { turnedAway, refused, count () {}, refusedToken () {} }
}

function createObserver (onEvent: OnEvent): ScriptObserver {
  return (command, _seconds, _result, reply) => {
    if (reply === undefined) return
    eachEnd(command, reply, (reason, sid, userId) => { onEvent({ type: 'ended', reason, userId, sid }) })
    if (isOpened(command, reply)) onEvent({ type: 'opened', userId: command.users[0]!, sid: command.opens! })
  }
}

/** An error of the listener is logged, and changes no answer. */
function withoutErrors (onEvent: OnEvent, { log }: FastifyInstance): OnEvent {
  return event => {
    try {
      Promise.resolve(onEvent(event) as unknown).catch(err => { log.error({ err }, 'onEvent has failed') })
    } catch (err) {
      log.error({ err }, 'onEvent has failed')
    }
  }
}
