import { once } from 'node:events'
import { get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import t, { type Test } from 'tap'
import { createFeed, type Feed } from '#src/console/feed'
import { startRedis, until } from '../support/helper.ts'
import { consoleKey, withConsole } from './helper.ts'

/** The live feed of the console without a browser. */

const redis = await startRedis(t)
const inAnHour = Date.now() / 1000 + 3600
let channels = 0

interface Setup {
  channel: string
  feed: Feed
  /** Adds a reader. */
  read (until?: number): Reader
}

interface Reader {
  isAdded: boolean
  response: PassThrough
  /** What the reader has received so far. */
  text (): string
}

function setup (t: Test, heartbeat?: number): Setup {
  const channel = `feed-${++channels}`
  const feed = createFeed(redis.client, channel, heartbeat)
  t.teardown(async () => await feed.close())
  return {
    channel,
    feed,
    read (until = inAnHour) {
      const response = new PassThrough()
      let text = ''
      response.on('data', (part: Buffer) => { text += part.toString() })
      return { isAdded: feed.add(response as unknown as ServerResponse, until), response, text: () => text }
    }
  }
}

const subscribers = async (channel: string): Promise<unknown> => (await redis.client.pubsub('NUMSUB', channel))[1]

t.test('subscribes while somebody reads, and tells each reader once', async t => {
  const { channel, read } = setup(t)
  const reader = read()
  await until('the feed is live', () => reader.text().includes('event: live'))
  t.equal(await subscribers(channel), 1)
  const second = read()
  await until('the second reader knows', () => second.text().includes('event: live'))
  await redis.client.config('RESETSTAT')
  // Each heartbeat subscribes again and calls `up()`.
  await until('two heartbeats', async () => /cmdstat_subscribe:calls=[2-9]/.test(await redis.client.info('commandstats')))
  t.equal(reader.text().split('event: live').length - 1, 1)
  reader.response.destroy()
  second.response.destroy()
  await until('nobody subscribes', async () => await subscribers(channel) === 0)
  const later = read()
  await until('the feed is not live at first', () => later.text().includes('event: gap'))
  await until('the feed is live again', () => later.text().includes('event: live'))
})

t.test('sends comments, so that no proxy closes a quiet feed', async t => {
  const reader = setup(t, 20).read()
  await until('two comments', () => reader.text().split(': \n\n').length > 2)
})

t.test('ends with the log-in of the reader', async t => {
  const { read } = setup(t)
  const [stays, ends] = [read(), read(Date.now() / 1000 + 0.1)]
  await once(ends.response, 'close')
  t.notOk(stays.response.writableEnded)
})

t.test('has a hundred readers, and the next one when one has gone', async t => {
  const { read } = setup(t)
  const readers = Array.from({ length: 100 }, () => read())
  t.ok(readers.every(({ isAdded }) => isAdded))
  t.notOk(read().isAdded)
  readers[0]!.response.destroy()
  await once(readers[0]!.response, 'close')
  t.ok(read().isAdded)
})

t.test('cuts off a page that does not read, and no other', async t => {
  const service = await withConsole(t, redis)
  await service.internal.listen({ port: 0, host: '127.0.0.1' })
  const url = `http://127.0.0.1:${(service.internal.server.address() as AddressInfo).port}/console`
  const [cookie] = (await fetch(`${url}/login`, {
    method: 'POST', redirect: 'manual', headers: { 'sec-fetch-site': 'same-origin' }, body: new URLSearchParams({ key: consoleKey })
  })).headers.getSetCookie()
  const connect = async (): Promise<IncomingMessage> => {
    const [stream] = await once(get(`${url}/events`, { headers: { cookie: cookie!.split(';')[0] }, agent: false }), 'response') as [IncomingMessage]
    await receive(stream.setEncoding('utf8'), 'event: live')
    return stream
  }
  /** Waits until a text has come. */
  const receive = async (stream: IncomingMessage, mark: string): Promise<void> => await new Promise((resolve, reject) => {
    const fail = (): void => { reject(new Error(`closed before «${mark}»`)) }
    stream.once('close', fail).on('data', function listen (text: string) {
      if (!text.includes(mark)) return
      stream.off('data', listen).off('close', fail)
      resolve()
    })
  })
  const [stalled, reader] = [await connect(), await connect()]
  stalled.pause()
  for (const unknown of ['no JSON', '{"type":"later"}']) await redis.client.publish(`${service.config.REDIS_PREFIX}events`, unknown)
  const sid = `${'A'.repeat(1_000_000)} the end of it`
  for (let n = 0; n < 20; n++) {
    // One after another: a second message would find a reader that is still reading the first one.
    const received = receive(reader, 'the end of it')
    await redis.client.publish(`${service.config.REDIS_PREFIX}events`, JSON.stringify({ type: 'revoked', reason: 'logout', id: 1, sid }))
    await received
  }
  stalled.resume()
  await t.rejects(once(stalled, 'end'), { code: 'ECONNRESET' })
  t.notOk(reader.destroyed)
  reader.destroy()
})
