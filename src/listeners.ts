import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'

/** `public` is for clients and stands behind the load balancer; `internal` is for services and ops and is never exposed. */
export type Surface = 'public' | 'internal'

/** The surfaces of one process, as far as they are built: here each finds the other. */
export type Surfaces = Partial<Record<Surface, FastifyInstance>>

/** The port that a surface listens at, which is the system's choice when 0 was asked for; `undefined` before it listens. */
export function listeningPort (app: FastifyInstance | undefined): number | undefined {
  return (app?.server.address() as AddressInfo | null | undefined)?.port
}
