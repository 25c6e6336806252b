import { setTimeout as delay } from 'node:timers/promises'
import t from 'tap'
import { createRandom } from '../../support/random.ts'
import { isSoak, seeds } from '../../support/soak.ts'
import { linearize } from './checker.ts'
import { print, record, recordCall, recordLogins } from './history.ts'
import { startReplicas } from './replicas.ts'
import { sessions } from './sessions.ts'

/**
 * Concurrent histories of refreshes, log-ins, log-outs and demotions of one user, through three real replicas under faults, are
 * linearizable: one store that runs one call at a time could give the same answers. The seed determines the calls, but not
 * their timing.
 */

/** Rounds of each fault, and concurrent histories in each round. */
const ROUNDS = isSoak ? 50 : 1
const HISTORIES = 8

// The test starts eight processes one after the other, and the faults include pauses.
t.setTimeout(isSoak ? 0 : 300_000)

for (const retryWindow of [300, 0]) {
  for (const seed of seeds([1])) {
    t.test(`retry window ${retryWindow}, seed ${seed}`, { timeout: 0 }, async t => {
      const replicas = await startReplicas(t, retryWindow)
      const specification = sessions(retryWindow)
      const random = createRandom(seed)
      let userId = 0
      for (const [name, fault] of Object.entries(replicas.faults)) {
        let [operations, unknown, loggedOut, demoted] = [0, 0, 0, 0]
        for (let round = 0; round < ROUNDS; round++) {
          const users = Array.from({ length: HISTORIES }, () => replicas.perform(++userId, random))
          const [histories] = await Promise.all([
            Promise.all(users.map(async (perform, i) => await (i % 2 === 0 ? record : recordLogins)(perform, random))),
            delay(10 * random()).then(async () => await fault(random))
          ])
          await replicas.heal()
          await Promise.all(users.map(async (perform, i) => await recordCall(histories[i]!, perform, { type: 'list' })))
          for (const history of histories) {
            operations += history.length
            unknown += history.filter(({ answer }) => answer === undefined).length
            loggedOut += history.filter(({ call, answer }) => call.type === 'open' && answer?.type === 'refused').length
            demoted += history.filter(({ call, answer }) => call.type === 'open' && answer?.type === 'tokens' && answer.role === 'DEMOTED').length
            if (linearize(history, specification) === undefined) t.fail(`not linearizable: ${name}, round ${round}\n${print(history)}`)
          }
        }
        t.pass(`${name}: ${ROUNDS * HISTORIES} histories, ${operations} operations, ${unknown} without an answer, ${loggedOut} log-ins refused, ${demoted} demoted`)
      }
    })
  }
}
