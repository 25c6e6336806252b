// Posts each event of the event stream to WEBHOOK_URL, signed by Standard Webhooks. Start it as often as you like: the processes share the
// events. npm install ioredis standardwebhooks; docs/events.md describes the events.
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { Webhook } from 'standardwebhooks'

const { REDIS_URL, WEBHOOK_URL, WEBHOOK_SECRET, STREAM = 'rt:meta:events' } = process.env
const [group, consumer] = ['webhook', `${hostname()}-${process.pid}`]

/** Milliseconds after which another process takes over an event that is not acknowledged. */
const TAKE_OVER = 60_000

const redis = new Redis(REDIS_URL, { maxRetriesPerRequest: null })
const webhook = new Webhook(WEBHOOK_SECRET)

// From the oldest event that the stream has.
await redis.xgroup('CREATE', STREAM, group, '0', 'MKSTREAM').catch(err => { if (!err.message.startsWith('BUSYGROUP')) throw err })

while (true) {
  const [, left] = await redis.xautoclaim(STREAM, group, consumer, TAKE_OVER, '0', 'COUNT', 10)
  const [[, fresh] = [undefined, []]] = await redis.xreadgroup('GROUP', group, consumer, 'COUNT', 10, 'BLOCK', 5000, 'STREAMS', STREAM, '>') ?? []
  for (const [id, fields] of [...left, ...fresh]) await deliver(id, fields)
}

/** Acknowledges the event once the receiver has it. Until then it is repeated, after a pause that grows to a minute. */
async function deliver (entryId, fields) {
  const event = Object.fromEntries(fields.map((name, i) => [name, fields[i + 1]]).filter((_, i) => i % 2 === 0))
  const now = new Date()
  const body = JSON.stringify({ type: `session.${event.type}`, data: { ...event, id: JSON.parse(event.id) } })
  const headers = {
    'content-type': 'application/json',
    'webhook-id': entryId,
    'webhook-timestamp': String(Math.floor(now / 1000)),
    'webhook-signature': webhook.sign(entryId, now, body)
  }
  for (let pause = 1000; ; pause = Math.min(pause * 2, 60_000)) {
    const answer = await fetch(WEBHOOK_URL, { method: 'POST', headers, body, signal: AbortSignal.timeout(10_000) }).catch(err => err)
    if (answer.ok === true) break
    console.error(`event ${entryId}: ${answer.status ?? answer.message}`)
    await delay(pause)
  }
  await redis.xack(STREAM, group, entryId)
}
