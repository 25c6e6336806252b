import type { Server } from 'node:http'
import { fileURLToPath } from 'node:url'
import autoload from '@fastify/autoload'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance, type FastifyHttpOptions } from 'fastify'
import { answerBrokenHttp, answerSurplus } from './client-errors.ts'
import { isProduction, trustProxy, type RunnableConfig } from '#src/config/environment'
import { watchConnections, type Connections } from '#src/http/connections'
import { docsOrigins } from '#src/openapi/docs-origins'
import { errorBody } from './errors.ts'
import type { Health } from './health.ts'
import type { Metrics } from '#src/metrics/metrics'
import { countUnread } from '#src/metrics/requests'
import { BODY_LIMIT } from '#src/http/json'
import { limitPipelining } from '#src/http/pipelining'
import { allowOrigins } from '#src/overload/cors'
import { splitOrigins } from '#src/settings/origins'
import { parseRate } from '#src/settings/rate'
import { protect, type ProtectOptions } from '#src/overload/protect'
import { createRequestIds, identify, identifyRequests, trustPeers } from '#src/http/request-ids'
import { serializerCompiler, validatorCompiler } from '#src/schemas/validation'
import { service } from '#src/plugin/service'
import type { Listener, Listeners } from '#src/http/listeners'

/** Options of `buildApp`. All but the logger are decorated on the app under these names, for plugins and routes. */
export interface AppOptions {
  config: RunnableConfig
  health: Health
  metrics: Metrics
  logger: FastifyBaseLogger
  /** Listeners of the same process; `buildApp` adds the new one. */
  listeners?: Listeners
}

/** Milliseconds within which a whole request must arrive, so that a client that sends a byte a second can't hold its connection longer. */
const REQUEST_TIMEOUT = 10_000

/** Maximum size of a request's headers, bytes. Requests from pages of the same site carry cookies of other services. */
const MAX_HEADER_SIZE = 16 * 1024

/** Maximum length of a value in a path, in characters. The schemas of the routes have lower limits, and their answer names the value. */
const MAX_PARAM_LENGTH = 1024

/** Milliseconds for a plugin to start. Plugins give up on Redis earlier, so that their error is reported and not Fastify's time-out. */
const PLUGIN_TIMEOUT = 20_000

const folder = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

/**
 * Builds one listener, ready for `listen()` or `inject()`.
 * @throws StartError when Redis can't be used.
 */
export async function buildApp (listener: Listener, options: AppOptions): Promise<FastifyInstance> {
  const app = Fastify(serverOptions(listener, options))
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.decorate('config', options.config)
  app.decorate('health', options.health)
  app.decorate('metrics', options.metrics)
  app.decorate('listener', listener)
  const { listeners = {} } = options
  listeners[listener] = app
  app.decorate('listeners', listeners)
  app.decorate('connections', watchConnections(app.server, () => { app.reporter.turnedAway.count('unread') }))
  identifyRequests(app)
  // Without a handler, Node answers an unknown `Expect` header with 417. RFC 9110 section 10.1.1 allows the route to answer instead.
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  limitPipelining(app.server, response => { answerSurplus(app, response) })
  try {
    if (listener === 'public') await openToPages(app)
    await app.register(autoload, { dir: folder('plugins'), forceESM: true })
    if (listener === 'public') await app.register(protect, protection(options.config))
    await app.register(service)
    await app.register(autoload, {
      dir: folder(`routes/${listener}`),
      forceESM: true,
      routeParams: true,
      autoHooks: true,
      cascadeHooks: true
    })
    await app.ready()
  } catch (err) {
    await app.close()
    throw err
  }
  return app
}

/** Allows calls from pages of `CORS_ORIGINS`, and in development from the API page. Adds no CORS hook if there is no such origin. */
async function openToPages (app: FastifyInstance): Promise<void> {
  const { config, listeners } = app
  const origins = new Set(config.CORS_ORIGINS && splitOrigins(config.CORS_ORIGINS))
  const usesCookies = (path: string): boolean => config.COOKIE_SESSIONS === 'on' && path.startsWith('/api/ps/session/')
  if (!isProduction(config)) {
    await allowOrigins(app, origin => origins.has(origin) || docsOrigins(listeners, config.INTERNAL_HOST).includes(origin), usesCookies)
  } else if (origins.size > 0) {
    await allowOrigins(app, origin => origins.has(origin), usesCookies)
  }
}

function protection (config: RunnableConfig): ProtectOptions {
  return {
    maxRefreshesInFlight: config.MAX_REFRESHES_IN_FLIGHT,
    maxConnectionsPerAddress: config.MAX_CONNECTIONS_PER_ADDRESS,
    ratePerAddress: parseRate(config.RATE_LIMIT_PER_ADDRESS),
    ratePerSession: parseRate(config.RATE_LIMIT_PER_SESSION),
    redisPrefix: config.REDIS_PREFIX,
    refreshTokenSecrets: config.REFRESH_TOKEN_SECRETS,
    isProxy: trustPeers(trustProxy(config))
  }
}

function serverOptions (listener: Listener, { config, logger, metrics }: AppOptions): FastifyHttpOptions<Server> {
  return {
    loggerInstance: logger.child({ surface: listener }),
    // One log line for each request would cost more than the request itself.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    http: {
      // Lets the route answer a request without `Host`; Node would answer with an empty body.
      requireHostHeader: false,
      connectionsCheckingInterval: 1000,
      // Node's default is a minute, and Node applies the shorter of the two time-outs to the headers, the longer to the whole request.
      headersTimeout: REQUEST_TIMEOUT,
      maxHeaderSize: MAX_HEADER_SIZE
    },
    pluginTimeout: PLUGIN_TIMEOUT,
    trustProxy: trustProxy(config),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    genReqId: createRequestIds(trustPeers(listener === 'internal' || trustProxy(config))),
    clientErrorHandler: answerBrokenHttp,
    frameworkErrors: (err, request, reply) => {
      identify(request, reply)
      countUnread(metrics, listener, 'malformed')
      request.server.reporter.refused.count(err.code)
      request.log.debug({ reason: err.code }, 'request refused')
      reply.header('cache-control', 'no-store').code(400 as never).send(errorBody(400) as never)
    }
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    config: RunnableConfig
    health: Health
    metrics: Metrics
    listener: Listener
    listeners: Listeners
    connections: Connections
  }
}
