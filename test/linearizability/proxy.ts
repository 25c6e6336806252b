import { EventEmitter, once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A wire to Redis that can be cut, around one exchange or at once. */
export interface Proxy {
  url: string
  /** Resolves when something has been sent to Redis from now on. */
  forwarded (): Promise<void>
  /** Resolves when Redis has got, and done, what was `underway` from now on. */
  arrived (): Promise<void>
  /** Cuts every connection now. */
  cut (): void
  /**
   * Cuts the next one that sends something: `before` Redis gets it, `after` Redis has answered, which is lost, or at once
   * while it is `underway`, which Redis gets some milliseconds later.
   */
  cutNext (when: 'before' | 'after' | 'underway', ms?: number): void
}

/** A proxy in front of the Redis server at a unix socket; it ends with the test. */
export async function startProxy (t: Test, socketPath: string): Promise<Proxy> {
  const clients = new Set<Socket>()
  const traffic = new EventEmitter()
  let next: 'before' | 'after' | 'underway' | undefined
  let underway = 0
  const server = createServer(client => {
    const redis = connect(socketPath)
    clients.add(client)
    let [isDeaf, isUnderway] = [false, false]
    client.on('data', data => {
      const cut = next
      next = undefined
      isDeaf ||= cut === 'after'
      isUnderway ||= cut === 'underway'
      if (cut === 'underway') setTimeout(() => redis.end(data), underway)
      else if (cut !== 'before') redis.write(data, () => traffic.emit('forwarded'))
      if (cut === 'before' || cut === 'underway') client.destroy()
    })
    redis.on('data', data => {
      if (isDeaf) client.destroy()
      else client.write(data)
    })
    client.on('error', () => {}).on('close', () => {
      clients.delete(client)
      if (!isUnderway) redis.destroy()
    })
    redis.on('error', () => {}).on('close', () => {
      client.destroy()
      if (isUnderway) traffic.emit('arrived')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const client of clients) client.destroy()
  })
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async forwarded () { await once(traffic, 'forwarded') },
    async arrived () { await once(traffic, 'arrived') },
    cut () { for (const client of clients) client.destroy() },
    cutNext (when, ms = 0) {
      next = when
      underway = ms
    }
  }
}
