import fastifyJwt from '@fastify/jwt'
import Fastify from 'fastify'
import { createSessionValidator, type SessionValidatorOptions } from '../../packages/validator/src/index.ts'
import { quantile } from '../harness/statistics.ts'

/** Number of rounds. Each round runs every case once, so that a busy moment of the machine affects all alike. */
const ROUNDS = 15

type Verify = (token: string) => unknown

/** Prints the cost of a validation, one at a time and fifty at once, beside @fastify/jwt, which does no look-up. */
export async function measureCosts (options: SessionValidatorOptions, tokens: string[]): Promise<void> {
  const cached = createSessionValidator({ ...options, cache: { maxStaleness: 3_600_000 } })
  const uncached = createSessionValidator({ ...options, cache: false })
  await Promise.all([cached.ready(), uncached.ready()])
  const app = Fastify()
  for (const [namespace, cache] of [['plain', false], ['cached', 10_000]] as const) {
    // `secrets` holds one secret, so the whole string is the signing key.
    const verify = { algorithms: ['HS512' as const], allowedIss: 'ktor.io', allowedSub: 'Authentication', cache }
    await app.register(fastifyJwt, { namespace, secret: String(options.secrets), verify })
  }
  await app.ready()
  const jwt = app.jwt as unknown as Record<'plain' | 'cached', { verify: Verify }>

  const ways: Record<string, () => Promise<number>> = {
    '@fastify/jwt, its own cache': async () => await oneByOne(token => jwt.cached.verify(token), tokens, 10),
    'validator, cached': async () => await oneByOne(cached.validate, tokens, 10),
    '@fastify/jwt': async () => await oneByOne(token => jwt.plain.verify(token), tokens, 4),
    'validator, uncached, 50 at once': async () => await atOnce(uncached.validate, tokens, 50),
    'validator, uncached, 1 at a time': async () => await oneByOne(uncached.validate, tokens, 1)
  }
  const costs = Object.fromEntries(Object.keys(ways).map(name => [name, [] as number[]]))
  for (const run of Object.values(ways)) await run() // fills the caches, and warms up
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(ways)) costs[name]!.push(await run())
  }

  console.log(`A validation, HS512, ${tokens.length} tokens in turn, median of ${ROUNDS} rounds`)
  const base = quantile(costs['@fastify/jwt, its own cache']!, 0.5)
  for (const [name, values] of Object.entries(costs)) {
    const cost = quantile(values, 0.5)
    console.log(`  ${name.padEnd(34)} ${cost.toFixed(1).padStart(8)} µs   ${(cost / base).toFixed(2).padStart(7)} ×`)
  }
  await Promise.all([cached.close(), uncached.close(), app.close()])
}

/** Microseconds for each call. */
async function oneByOne (verify: Verify, tokens: string[], repeats: number): Promise<number> {
  const start = performance.now()
  for (let i = 0; i < repeats; i++) {
    for (const token of tokens) await verify(token)
  }
  return (performance.now() - start) * 1000 / tokens.length / repeats
}

async function atOnce (verify: Verify, tokens: string[], width: number): Promise<number> {
  const start = performance.now()
  for (let i = 0; i < tokens.length; i += width) await Promise.all(tokens.slice(i, i + width).map(verify))
  return (performance.now() - start) * 1000 / tokens.length
}
