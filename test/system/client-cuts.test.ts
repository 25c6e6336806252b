import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { createSession, memoryStorage } from '../../packages/client/src/index.ts'
import { build, claimsOf, guest, startRedis } from '../support/helper.ts'

/** Answers of the real service that are cut after each of their bytes: with a key, no cut logs anybody out. */

interface Cutter {
  url: string
  /** Cuts the next connection after this many bytes of the answer; -1 before the service gets the request. */
  cutAfter: number
  /** Length of the last whole answer. */
  length: number
}

/** A proxy in front of the service that passes each connection's bytes on until it cuts it. */
async function startCutter (t: Test, target: URL): Promise<Cutter> {
  const cutter: Cutter = { url: '', cutAfter: Infinity, length: 0 }
  const server = createServer(client => {
    const { cutAfter } = cutter
    cutter.cutAfter = Infinity
    const service = connect(Number(target.port), target.hostname)
    let passed = 0
    client.on('data', data => {
      if (cutAfter < 0) client.destroy()
      else service.write(data)
    })
    service.on('data', data => {
      client.write(data.subarray(0, Math.max(0, cutAfter - passed)))
      passed += data.length
      cutter.length = passed
      if (passed >= cutAfter) client.destroySoon()
    })
    for (const [socket, other] of [[client, service], [service, client]] as const) socket.on('error', () => {}).on('close', () => { other.destroy() })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => { server.close() })
  cutter.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/api/ps/refresh`
  return cutter
}

t.test('an answer that is cut after any of its bytes is fetched again with the same key', async t => {
  // No retry window: only the key makes a repeated request safe.
  const service = await build(t, await startRedis(t), { REFRESH_RETRY_WINDOW: '0', LOG_LEVEL: 'warn' })
  const cutter = await startCutter(t, new URL(await service.public.listen({ host: '127.0.0.1', port: 0 })))
  const storage = memoryStorage()
  /** As after a restart of the app: with the storage alone. */
  const open = (): ReturnType<typeof createSession> => createSession({
    refreshUrl: cutter.url,
    deviceId: guest.deviceId,
    storage,
    retryFor: 0,
    // A connection of its own for each request.
    fetch: async (input, init = {}) => await fetch(input, { ...init, headers: { ...init.headers as object, Connection: 'close' } })
  })
  const generation = async (): Promise<number> => claimsOf(JSON.parse((await storage.get())!).refreshToken).gen
  const refresh = async (): Promise<string> => {
    const session = open()
    const { token } = JSON.parse((await storage.get())!)
    return await session.getAccessToken(token).then(() => 'refreshed', err => err.code ?? err)
  }

  await open().logIn(await service.open())
  t.equal(await refresh(), 'refreshed')
  const { length } = cutter
  t.ok(length > 500, `${length} bytes`)
  const outcomes = { whole: 0, cut: 0 }
  for (let cut = -1; cut < length; cut++) {
    const before = await generation()
    cutter.cutAfter = cut
    const first = await refresh()
    if (first === 'refreshed') {
      outcomes.whole++
    } else {
      outcomes.cut++
      if (first !== 'unavailable') t.fail(`cut after ${cut} bytes: ${first}`)
      let second = await refresh()
      // A busy machine may cause a 500.
      for (let n = 0; second === 'unavailable' && n < 20; n++) second = await refresh()
      if (second !== 'refreshed') t.fail(`cut after ${cut} bytes, then: ${second}`)
    }
    const after = await generation()
    if (after !== before + 1) t.fail(`cut after ${cut} bytes: generation ${before}, then ${after}`)
  }
  t.equal(outcomes.whole, 0, 'every cut loses the answer')
  t.equal(outcomes.cut, length + 1)
})
