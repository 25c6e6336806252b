import t from 'tap'
import { startRedis } from '../../support/helper.ts'
import { isSoak, seeds } from '../../support/soak.ts'
import { simulate } from './simulation.ts'

/**
 * Clients that lose answers and come back after a second to a day, on the real store with the test's clock: with an
 * Idempotency-Key none of them is logged out.
 */

const CLIENTS = isSoak ? 100_000 : 10_000

t.setTimeout(isSoak ? 0 : 240_000)

for (const seed of seeds([1])) {
  t.test(`${CLIENTS} clients, seed ${seed}`, { timeout: 0 }, async t => {
    const redis = await startRedis(t, ['--appendonly', 'no'])
    const keyed = await simulate(t, redis, { clients: CLIENTS, seed, sendsKeys: true })
    const plain = await simulate(t, redis, { clients: CLIENTS, seed, sendsKeys: false })
    for (const [name, { refreshes, lost, retried, loggedOut }] of Object.entries({ 'with a key': keyed, 'without a key': plain })) {
      t.comment(`${name}: ${refreshes} requests, ${lost} answers lost, ${retried} retried, ${loggedOut} of ${CLIENTS} clients logged out`)
    }
    t.equal(keyed.loggedOut, 0, 'with a key no client is logged out')
    t.equal(keyed.retried, keyed.lost, 'every lost answer is repeated once')
    t.ok(keyed.lost > CLIENTS / 10, `${keyed.lost} answers are lost`)
    t.ok(plain.loggedOut > CLIENTS / 10, `without a key ${plain.loggedOut} clients are logged out`)
  })
}
