import fc from 'fast-check'
import t from 'tap'
import { readScript } from '#src/sessions/scripts'
import { startRedis } from '../../support/helper.ts'
import { mutate, mutants } from './mutants.ts'
import { ofFaces, runProperty } from './runs.ts'
import { createWorlds } from './world.ts'

/** Shows that the model test can fail: it catches every small mistake in the scripts. */

const RUNS = 500

/** Mutants tested at the same time. */
const WORKERS = 4

t.test('every mutant changes its script', async t => {
  for (const { script, from, to } of mutants) t.ok(readScript(script).includes(from), `${script}: ${JSON.stringify(from)} → ${JSON.stringify(to)}`)
})

t.test('every mutant is caught', { timeout: 0 }, async t => {
  const redis = await startRedis(t, ['--appendonly', 'no'])
  let total = 0
  const queue = [...mutants.entries()]
  await Promise.all(Array.from({ length: WORKERS }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [i, mutant] = next
      const title = `${mutant.script}: ${JSON.stringify(mutant.from)} → ${JSON.stringify(mutant.to)}`
      const worlds = await createWorlds(t, redis, `mutant${i}:`, mutate(mutant))
      const property = runProperty(worlds, new Map(), mutant.isOfFaces ? ofFaces : undefined)
      const { failed, numRuns } = await fc.check(property, { seed: 1, numRuns: RUNS, endOnFailure: true })
      t.ok(failed, `${title}, by run ${numRuns}`)
      total += numRuns
    }
  }))
  t.comment(`${mutants.length} mutants, ${total} runs`)
})
