import t from 'tap'
import { createConfirm, type EndReused } from '#src/sessions/wait-for-replicas'
import { until } from '../support/helper.ts'

/** Limits of the retries: their duration, and the number of sessions. test/sessions/wait-for-replicas.test.ts uses real replicas. */

function createEnd (): { end: EndReused, tried: unknown[], succeed: () => void } {
  const tried: unknown[] = []
  let isUp = false
  const end: EndReused = async (_userId, sid) => {
    tried.push(sid)
    if (!isUp) throw new Error('no replica')
  }
  return { end, tried, succeed: () => { isUp = true } }
}

t.test('gives up the oldest sessions over the limit', async t => {
  const { end, tried, succeed } = createEnd()
  const confirm = createConfirm(end, { pause: 10, giveUpAfter: 60_000, maxPending: 2 })
  const answers = await Promise.all(['a', 'b', 'c'].map(async sid => await confirm(1, sid, 100)))
  t.same(answers, [false, false, false])
  tried.length = 0
  await until('two rounds', () => tried.length >= 4)
  t.same(new Set(tried), new Set(['b', 'c']))
  succeed()
  t.equal(await confirm(1, 'd', 100), true)
})

t.test('gives up a session when its time is over, and still retries the next one', async t => {
  const { end, tried } = createEnd()
  const confirm = createConfirm(end, { pause: 1, giveUpAfter: 0, maxPending: 2 })
  await confirm(1, 'a', 100)
  await until('another attempt', () => tried.length === 2)
  await confirm(1, 'b', 100)
  await until('another attempt', () => tried.length === 4)
  t.same(tried, ['a', 'a', 'b', 'b'])
})
