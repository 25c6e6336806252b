import { createHmac, hkdfSync } from 'node:crypto'
import { normalizeIP } from '@fastify/rate-limit'
import { hashDevice } from '#src/redis/records'
import { parseKeys } from '#src/tokens/keys'

/**
 * Names a client by a keyed hash of its address: an address is personal data, and a hash without a key is soon reversed by
 * hashing all IPv4 addresses. The key is derived from the refresh secrets, so all replicas have it and Redis does not. An
 * IPv6 client controls a /64, so the whole /64 counts as one client. 72 bits keep two clients apart.
 */
export function createAddressNames (refreshSecrets: string): (address: string) => string {
  const [{ secret }] = parseKeys(refreshSecrets)
  const key = Buffer.from(hkdfSync('sha256', secret, '', 'refresh-token-service: addresses', 32))
  return address => createHmac('sha256', key).update(normalizeIP(address, 64)).digest('base64url').slice(0, 12)
}

/**
 * Names a session for its rate limit. A thief with the token and another device id counts under another name, so that the
 * thief can't lock the owner out. The name has 18 bits of the device's hash: enough that a thief does not find the owner's
 * name, and few enough that a session has at most 262,144 counters, however many device ids are invented.
 */
export function nameOfSession (sid: string, deviceId = ''): string {
  return `${sid}:${hashDevice(deviceId).slice(0, 3)}`
}
