import { createHmac, hkdfSync } from 'node:crypto'
import { normalizeIP } from '@fastify/rate-limit'
import { parseKeys } from '#src/tokens/keys'

/**
 * Names a client by its address without saying it: an address is personal data, and all IPv4 addresses are soon hashed
 * without a key. The key follows from the refresh secrets, so all replicas have it and Redis does not. An IPv6 client
 * commands a /64 and counts as one; 72 bits keep two clients apart.
 */
export function createAddressNames (refreshSecrets: string): (address: string) => string {
  const [{ secret }] = parseKeys(refreshSecrets)
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'refresh-token-service: addresses', 32))
  return address => createHmac('sha256', key).update(normalizeIP(address, 64)).digest('base64url').slice(0, 12)
}
