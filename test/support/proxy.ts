import { EventEmitter, once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/** A proxy to Redis that can cut its connections: at once, or around one exchange. */
export interface Proxy {
  url: string
  /** Resolves when data is next sent to Redis. */
  forwarded (): Promise<void>
  /** Resolves when Redis has received and run the next commands that are cut `underway`. */
  arrived (): Promise<void>
  /** Cuts every connection now. */
  cut (): void
  /**
   * Cuts the next connection that sends data: `before` Redis gets the data, `after` Redis has answered (the answer is lost), or
   * at once while the data is `underway` (Redis gets it `ms` milliseconds later).
   */
  cutNext (when: 'before' | 'after' | 'underway', ms?: number): void
  /** Delays every answer from now on. */
  slow (ms: number): void
}

/** Starts a proxy in front of the Redis server at a unix socket; it stops with the test. */
export async function startProxy (t: Test, socketPath: string): Promise<Proxy> {
  const clients = new Set<Socket>()
  const traffic = new EventEmitter()
  let next: 'before' | 'after' | 'underway' | undefined
  let underway = 0
  let slow = 0
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
      else if (slow > 0) setTimeout(() => client.write(data), slow)
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
    slow (ms) { slow = ms },
    async forwarded () { await once(traffic, 'forwarded') },
    async arrived () { await once(traffic, 'arrived') },
    cut () { for (const client of clients) client.destroy() },
    cutNext (when, ms = 0) {
      next = when
      underway = ms
    }
  }
}
