import { createHash, randomBytes } from 'node:crypto'
import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import { describeMachine } from '../harness/machine.ts'
import { startRedis } from '../harness/redis.ts'
import { quantile } from '../harness/statistics.ts'
import { hashDevice } from '../../src/sessions/record.ts'
import { createHs512Signer, encodeHeader } from '../../src/tokens/hmac.ts'
import type { Report, Settings } from '../settings.ts'

/** Pieces of the path alone, as they are and as they could be: microseconds each, in a loop of one process. */
export interface PiecesResult {
  pieces: Array<{ name: string, instead: string, is: number, was: number }>
}

/** A piece and what does the same. */
interface Pair { name: string, instead: string, is: (i: number) => unknown, was: (i: number) => unknown }

export async function pieces ({ loops, rounds }: Settings, report: Report) {
  const pairs = await makePairs()
  const results = pairs.map(({ name, instead, is, was }) => {
    const times = Array.from({ length: rounds }, () => ({ is: time(is, loops), was: time(was, loops) }))
    const result = { name, instead, is: quantile(times.map(({ is }) => is), 0.5), was: quantile(times.map(({ was }) => was), 0.5) }
    report(`${result.is.toFixed(2).padStart(6)} µs  ${name}; ${result.was.toFixed(2)} µs ${instead}`)
    return result
  })
  const redis = await startRedis('any')
  const { version } = await redis.info()
  await redis.stop()
  return { machine: describeMachine(version), results: { pieces: results } satisfies PiecesResult }
}

async function makePairs (): Promise<Pair[]> {
  const [kid, secret] = ['abcdefgh', Buffer.from(randomBytes(64).toString('base64url'))]
  const app = Fastify()
  await app.register(fastifyJwt, { secret, sign: { algorithm: 'HS512', kid }, verify: { algorithms: ['HS512'], ignoreExpiration: true, cache: false } })
  const sign = createHs512Signer(kid, secret)
  const claims = (gen: number): object =>
    ({ sub: 'Refresh', iss: 'ktor.io', id: 1, sid: 'A'.repeat(22), gen, iat: 1_700_000_000, exp: 1_702_592_000 })
  const headers = new Map([[encodeHeader('HS512', kid), 1]])
  const token = sign(claims(1))
  const header = (): string => token.slice(0, token.indexOf('.'))
  const names = Array.from({ length: 1000 }, (_, i) => `device ${i}`)
  return [
    { name: 'signing a token', instead: 'through @fastify/jwt', is: i => sign(claims(i)), was: i => app.jwt.sign(claims(i)) },
    {
      name: 'finding the key of a token by its header as a whole',
      instead: 'by the `kid` in it',
      is: () => headers.get(header()),
      was: () => JSON.parse(Buffer.from(header(), 'base64url').toString()).kid
    },
    {
      name: 'hashing a device in one call',
      instead: 'with a hash object',
      is: i => hashDevice(names[i % 1000]!),
      was: i => createHash('sha256').update(names[i % 1000]!).digest('base64url').slice(0, 16)
    }
  ]
}

/** Microseconds a call. */
function time (act: (i: number) => unknown, loops: number): number {
  for (let i = 0; i < loops / 4; i++) act(i)
  const start = performance.now()
  for (let i = 0; i < loops; i++) act(i)
  return (performance.now() - start) * 1000 / loops
}
