import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { compile } from '@fastify/proxy-addr'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { trustProxy, type Config } from '#src/config/environment'
import type { Surface } from '#src/listeners'
import { parseTraceparent } from './trace-context.ts'

/** Whether the ids that this peer sends may stand in our log. */
export type Trust = (address: string) => boolean

/** What an id of the caller's may look like: nothing that breaks a log, a search or a header. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/**
 * Internal callers are our own services. In public it is the proxies of `TRUST_PROXY`, and the peer itself has to be one:
 * a client that could choose ids would hide among the lines of others, or decide what a tracing back end keeps.
 */
export function idTrust (surface: Surface, config: Config): Trust {
  const proxies = surface === 'internal' || trustProxy(config)
  if (typeof proxies === 'boolean') return () => proxies
  // As Fastify itself reads them for `request.ip`.
  const isProxy = compile(proxies.split(',').map(part => part.trim()))
  return address => isProxy(address, 0)
}

/**
 * Makes the id of each request: that of a trusted peer's `X-Request-Id`, else a random one, so that one id finds one request
 * in the logs of all replicas, and tells no client how many others ask. It is the first to see a request, and removes
 * a `traceparent` that is not trusted: nothing after it, an OpenTelemetry instrumentation included, can follow it.
 */
export function createRequestIds (trusts: Trust): (request: IncomingMessage) => string {
  return ({ headers, socket }) => {
    const given = headers['x-request-id'] as string | undefined
    if (given === undefined && headers.traceparent === undefined) return randomUUID()
    if (!trusts(socket.remoteAddress!)) {
      delete headers.traceparent
      return randomUUID()
    }
    return given !== undefined && REQUEST_ID.test(given) ? given : randomUUID()
  }
}

/** Has every request of an app identified. Before all other hooks, since any of them may answer. */
export function identifyRequests (app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    identify(request, reply)
    done()
  })
}

/** Answers with the request's id, and with the trace that it is part of; puts that on its log lines, which have the id already. */
export function identify (request: FastifyRequest, reply: FastifyReply): void {
  reply.header('x-request-id', request.id)
  const { traceparent } = request.raw.headers as { traceparent?: string }
  if (traceparent === undefined) return
  const trace = parseTraceparent(traceparent)
  if (trace === undefined) return
  reply.header('traceparent', traceparent)
  request.log = reply.log = request.log.child(trace)
}
