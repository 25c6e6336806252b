import type { ServerResponse } from 'node:http'
import type { RedisClient } from '#src/redis/client'
import { createSubscriber, subscribe, type Subscription } from '#src/redis/subscriber'

/** Milliseconds between two comments that keep a stream open through proxies. */
const HEARTBEAT = 15_000

/** Maximum number of streams. */
const MAX_STREAMS = 100

/** Bytes that wait for a reader. A page further behind is cut off: it connects again, and says that events may be missing. */
const MAX_BACKLOG = 1_000_000

/**
 * The live feed, as server-sent events: `session` for each opening, end and changed profile, `live` when the subscription to Redis stands,
 * and `gap` when it is lost and events may be missed.
 */
export interface Feed {
  /** Sends the feed to a response until it closes, or until `until`, Unix seconds. Returns false if there are too many streams. */
  add (response: ServerResponse, until: number): boolean
  close (): Promise<void>
}

/** Subscribes to Redis only while a page reads the feed. `heartbeat` is in milliseconds. */
export function createFeed (redis: RedisClient, channel: string, heartbeat = HEARTBEAT): Feed {
  const streams = new Set<ServerResponse>()
  let subscription: Subscription | undefined
  let isLive = false

  function send (event: string, data: object): void {
    const text = `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
    for (const stream of streams) {
      if (stream.writableLength > MAX_BACKLOG) stream.destroy()
      else stream.write(text)
    }
  }

  function setLive (live: boolean): void {
    if (live === isLive) return
    isLive = live
    send(live ? 'live' : 'gap', {})
  }

  function start (): Subscription {
    return subscribe(() => createSubscriber(redis), channel, {
      up () { setLive(true) },
      down () { setLive(false) },
      message (text) {
        const event = readEvent(text)
        if (event !== undefined) send('session', event)
      }
    })
  }

  async function stop (): Promise<void> {
    const ending = subscription
    subscription = undefined
    await ending?.unsubscribe()
  }

  const timer = setInterval(() => { for (const stream of streams) stream.write(': \n\n') }, heartbeat).unref()

  return {
    add (response, until) {
      if (streams.size === MAX_STREAMS) return false
      response.write(`retry: 2000\nevent: ${isLive ? 'live' : 'gap'}\ndata: {}\n\n`)
      streams.add(response)
      const end = setTimeout(() => response.end(), Math.max(0, until * 1000 - Date.now())).unref()
      response.on('close', () => {
        clearTimeout(end)
        streams.delete(response)
        if (streams.size === 0) stop()
      })
      subscription ??= start()
      return true
    },

    async close () {
      clearInterval(timer)
      for (const stream of streams) stream.end()
      await stop()
    }
  }
}

/** An event of the channel as the page shows it; `undefined` for an unknown one. */
function readEvent (text: string): object | undefined {
  try {
    const { type, reason, id, sid } = JSON.parse(text)
    if (type === 'revoked') return { reason, id, sid }
    return type === 'opened' || type === 'profile' ? { reason: type, id, sid } : undefined
  } catch {
    return undefined
  }
}
