import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** The two listeners: `public` serves clients through the load balancer, `internal` serves services and ops and is never exposed. */
export type Listener = 'public' | 'internal'

/** The listeners of one process that are built so far; lets each find the other. */
export type Listeners = Partial<Record<Listener, FastifyInstance>>

/** The port of a listener, chosen by the system if 0 was configured; `undefined` before it listens. */
export function listeningPort (app: FastifyInstance | undefined): number | undefined {
  return (app?.server.address() as AddressInfo | null | undefined)?.port
}
