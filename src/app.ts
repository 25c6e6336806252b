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
import { limitPipelining } from '#src/http/pipelining'
import { allowOrigins } from '#src/overload/cors'
import { splitOrigins } from '#src/settings/origins'
import { protect } from '#src/overload/protect'
import { createRequestIds, identify, identifyRequests, idTrust } from '#src/http/request-ids'
import { formats } from '#src/schemas/formats'
import type { Surface, Surfaces } from './listeners.ts'

/** What a surface is built from. Plugins and routes find all but the logger on the app, under these names. */
export interface AppOptions {
  config: RunnableConfig
  health: Health
  metrics: Metrics
  logger: FastifyBaseLogger
  /** Those of the same process; the one that is built adds itself. */
  surfaces?: Surfaces
}

/** Bytes of a request's body; the largest documented one, fully escaped, needs about a quarter. */
const BODY_LIMIT = 32 * 1024

/** Milliseconds for a request to arrive as a whole: a client that sends a byte a second holds a connection no longer. */
const REQUEST_TIMEOUT = 10_000

/** Bytes of a request's headers: pages of the same site bring along cookies that are not for us. */
const MAX_HEADER_SIZE = 16 * 1024

/** Milliseconds for plugins to start: longer than they wait for Redis themselves, so that theirs is the error. */
const PLUGIN_TIMEOUT = 20_000

const folder = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

/**
 * Builds one surface, ready to listen or to be injected into.
 * @throws StartError when Redis can't be used.
 */
export async function buildApp (surface: Surface, options: AppOptions): Promise<FastifyInstance> {
  const app = Fastify(serverOptions(surface, options))
  app.decorate('config', options.config)
  app.decorate('health', options.health)
  app.decorate('metrics', options.metrics)
  app.decorate('surface', surface)
  const { surfaces = {} } = options
  surfaces[surface] = app
  app.decorate('surfaces', surfaces)
  app.decorate('connections', watchConnections(app.server, () => { app.turnedAway.count('unread') }))
  identifyRequests(app)
  // Node would answer an unknown expectation by itself, with a 417; the route's own answer is as good (RFC 9110 section 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))
  limitPipelining(app.server, response => { answerSurplus(app, response) })
  try {
    if (surface === 'public') await openToPages(app)
    await app.register(autoload, { dir: folder('plugins'), forceESM: true })
    if (surface === 'public') await app.register(protect)
    await app.register(autoload, {
      dir: folder(`routes/${surface}`),
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

/** Pages may call from `CORS_ORIGINS`, and in development from the API page; where there are neither, nothing is done about it. */
async function openToPages (app: FastifyInstance): Promise<void> {
  const { config, surfaces } = app
  const origins = new Set(config.CORS_ORIGINS && splitOrigins(config.CORS_ORIGINS))
  if (!isProduction(config)) {
    await allowOrigins(app, origin => origins.has(origin) || docsOrigins(surfaces, config.INTERNAL_HOST).includes(origin))
  } else if (origins.size > 0) {
    await allowOrigins(app, origin => origins.has(origin))
  }
}

function serverOptions (surface: Surface, { config, logger, metrics }: AppOptions): FastifyHttpOptions<Server> {
  return {
    loggerInstance: logger.child({ surface }),
    // A line a request would cost more than the request.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT,
    http: {
      // A request without Host is answered by the route, not by Node with an empty body.
      requireHostHeader: false,
      connectionsCheckingInterval: 1000,
      // Node's default is a minute, and of the two the headers get the shorter time and the whole the longer one.
      headersTimeout: REQUEST_TIMEOUT,
      maxHeaderSize: MAX_HEADER_SIZE
    },
    pluginTimeout: PLUGIN_TIMEOUT,
    trustProxy: trustProxy(config),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    genReqId: createRequestIds(idTrust(surface, config)),
    ajv: {
      // What is sent is what is meant: no number from a text, no default, nothing removed.
      customOptions: { coerceTypes: false, useDefaults: false, removeAdditional: false },
      onCreate: ajv => { for (const [name, check] of Object.entries(formats)) ajv.addFormat(name, check) }
    },
    clientErrorHandler: answerBrokenHttp,
    frameworkErrors: (err, request, reply) => {
      identify(request, reply)
      countUnread(metrics, surface, 'malformed')
      request.server.refused.count(err.code)
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
    surface: Surface
    surfaces: Surfaces
    connections: Connections
  }
}
