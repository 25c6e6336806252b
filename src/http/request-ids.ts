import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { compile } from '@fastify/proxy-addr'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseTraceparent } from './trace-context.ts'

/** Whether the service accepts request ids and trace ids from the peer with this address. */
export type Trust = (address: string) => boolean

/** Accepted form of a caller's id: no character that breaks a log, a search or a header. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,128}$/

/**
 * Trusts the peers that are `proxies`: all, none, or those of a comma-separated list of addresses and CIDR ranges. Any other
 * client that could choose ids would hide its log lines among those of others, or decide which traces a tracing back end keeps.
 */
export function trustPeers (proxies: boolean | string): Trust {
  if (typeof proxies === 'boolean') return () => proxies
  // Parsed as Fastify parses it for `request.ip`.
  const isProxy = compile(proxies.split(',').map(part => part.trim()))
  return address => isProxy(address, 0)
}

/**
 * Creates the id of each request: a trusted peer's `X-Request-Id`, otherwise a random id. A random id finds one request in
 * the logs of all replicas, and does not tell clients how many requests there are. This function runs first on every
 * request, so it also removes an untrusted `traceparent`: later code, including OpenTelemetry instrumentation, never sees it.
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

/** Runs `identify` on every request. Call it before any other hook is added, because each hook may answer. */
export function identifyRequests (app: FastifyInstance): void {
  app.addHook('onRequest', (request, reply, done) => {
    identify(request, reply)
    done()
  })
}

/** Sets the answer's `X-Request-Id` and `traceparent` headers, and adds the trace to the request's log lines, which have the id already. */
export function identify (request: FastifyRequest, reply: FastifyReply): void {
  reply.header('x-request-id', request.id)
  const { traceparent } = request.raw.headers as { traceparent?: string }
  if (traceparent === undefined) return
  const trace = parseTraceparent(traceparent)
  if (trace === undefined) return
  reply.header('traceparent', traceparent)
  request.log = reply.log = request.log.child(trace)
}
