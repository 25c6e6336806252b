import type { Server } from 'node:net'
import { normalizeIP } from '@fastify/rate-limit'

/**
 * Closes at once the connections that an address opens beyond `max`. An IPv6 /64 counts as one address, as in rate-limit-names.ts.
 * Proxies are exempt, because each carries the connections of many clients.
 */
export function limitConnectionsPerAddress (
  server: Server, max: number, isProxy: (address: string) => boolean, onSurplus: () => void
): void {
  const counts = new Map<string, number>()
  server.on('connection', socket => {
    const { remoteAddress } = socket
    // Undefined if the client has disconnected already.
    if (remoteAddress === undefined || isProxy(remoteAddress)) return
    const address = normalizeIP(remoteAddress, 64)
    const count = (counts.get(address) ?? 0) + 1
    if (count > max) {
      onSurplus()
      socket.destroy()
      return
    }
    counts.set(address, count)
    socket.once('close', () => {
      const left = counts.get(address)! - 1
      if (left === 0) counts.delete(address)
      else counts.set(address, left)
    })
  })
}
