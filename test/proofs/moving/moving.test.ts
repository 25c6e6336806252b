import fc from 'fast-check'
import t, { type Test } from 'tap'
import { build, claimsOf, startRedis, type PrivateRedis, type Service, type TokensBody } from '../../support/helper.ts'
import { exportLines, importLines, legacyToken } from '../../support/moving.ts'
import { isSoak, seeds } from '../../support/soak.ts'

/**
 * Random sessions of two users, moved by an export and an import into another prefix. Every client goes on with the token that it has,
 * and every request is answered as the first deployment would answer it.
 */

let redis: PrivateRedis
t.before(async () => { redis = await startRedis(t) })

const claims = fc.option(fc.dictionary(fc.constantFrom('plan', 'amr', 'x'), fc.constantFrom('gold', 1.5, ['pwd', 'otp'], { a: [] }, [], '"ä\u0001')), { nil: undefined })

const opening = fc.record({
  userId: fc.constantFrom(1, 'user_01'),
  email: fc.constantFrom('guest@keygenqt.com', undefined),
  role: fc.constantFrom('GUEST', undefined),
  label: fc.constantFrom('Pixel 9', undefined),
  idleTtl: fc.constantFrom(5000, undefined),
  absoluteTtl: fc.constantFrom(50_000, undefined),
  userClaims: claims,
  sessionClaims: claims,
  /** A token of another service, imported. */
  isLegacy: fc.boolean(),
  /** The keys of the refreshes that follow. */
  refreshes: fc.array(fc.constantFrom('a', 'b', undefined), { maxLength: 3 })
})

/** A client, the tokens that it has had, and the keys that it sent. */
interface Client { userId: number | string, deviceId: string, tokens: string[], keys: Array<string | undefined> }

type Opening = typeof opening extends fc.Arbitrary<infer T> ? T : never

async function start (t: Test, service: Service, openings: Opening[]): Promise<Client[]> {
  const clients: Client[] = []
  for (const [i, { isLegacy, refreshes, ...session }] of openings.entries()) {
    const deviceId = `device ${i}`
    const given = JSON.parse(JSON.stringify({ ...session, deviceId }))
    const client: Client = { userId: session.userId, deviceId, tokens: [], keys: [] }
    if (isLegacy) {
      client.tokens.push(legacyToken())
      t.match((await importLines(t, service, [{ ...given, legacyToken: client.tokens[0] }])).json, { imported: 1 })
    } else {
      const opened = await service.call('POST', '/internal/sessions', given)
      client.tokens.push(opened.json<TokensBody>().refreshToken)
    }
    clients.push(client)
    for (const key of refreshes) client.tokens.push((await send(service, client, client.tokens.at(-1)!, key)).json().refreshToken)
    client.keys = refreshes
  }
  return clients
}

async function send (service: Service, { deviceId }: Client, token: string, key?: string) {
  return await service.refresh(token, deviceId, key === undefined ? {} : { 'idempotency-key': key })
}

const sorted = (lines: object[]): string[] => lines.map(line => JSON.stringify(line)).sort()

t.setTimeout(isSoak ? 0 : 120_000)

for (const seed of seeds([1])) {
  t.test(`every client goes on with the token that it has, seed ${seed}`, { timeout: 0 }, async t => {
    await fc.assert(fc.asyncProperty(fc.array(opening, { minLength: 1, maxLength: 5 }), fc.constantFrom('current', 'before', 'first'), async (openings, which) => {
      // Without a window only a key makes a retry, however long the move takes.
      const from = await build(t, redis, { LEGACY_TOKENS: 'on', REFRESH_RETRY_WINDOW: '0' })
      const to = await build(t, redis, {
        LEGACY_TOKENS: 'on',
        REFRESH_RETRY_WINDOW: '0',
        REFRESH_TOKEN_SECRETS: from.config.REFRESH_TOKEN_SECRETS,
        ACCESS_TOKEN_SECRETS: from.config.ACCESS_TOKEN_SECRETS
      })
      const clients = await start(t, from, openings)
      const { lines, failed } = await exportLines(from)
      t.notOk(failed)
      for (const expected of [{ alreadyImported: 0 }, { imported: 0 }]) {
        t.match((await importLines(t, to, lines)).json, { rejected: 0, lines: lines.length, ...expected })
      }
      t.same(sorted((await exportLines(to)).lines), sorted(lines))

      const position = which === 'current' ? -1 : which === 'before' ? -2 : 0
      for (const client of clients) {
        const token = client.tokens.at(position) ?? client.tokens[0]!
        const key = client.keys.at(-1)
        const answers = [await send(from, client, token, key), await send(to, client, token, key)] as const
        t.equal(answers[0].statusCode, answers[1].statusCode)
        if (which === 'current') t.equal(answers[1].statusCode, 200)
        if (answers[0].statusCode !== 200) continue
        const [before, after] = answers.map(answer => {
          const { refreshToken, token, ...body } = answer.json()
          const { iat: _iat, exp: _exp, ...claims } = claimsOf(refreshToken)
          const { iat: _, exp: __, ...access } = claimsOf(token)
          return { ...body, claims, access }
        })
        t.same(after, before)
      }
      await Promise.all([from, to].flatMap(service => [service.public.close(), service.internal.close()]))
    }), { seed, numRuns: isSoak ? 300 : 25 })
  })
}
