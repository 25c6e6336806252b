import t from 'tap'
import { createRedisClock } from '../../src/sessions/clock.ts'

t.test('nothing is dated before the first reply, and after a reset', async t => {
  const clock = createRedisClock()
  t.equal(clock.deadline(performance.now()), undefined)
  clock.observe(1)
  t.type(clock.deadline(performance.now()), 'number')
  clock.reset()
  t.equal(clock.deadline(performance.now()), undefined)
})

t.test('a deadline is not ahead of the moment it stands for, and the last reply counts', async t => {
  const clock = createRedisClock()
  const read = Math.floor(performance.now() + 5_000_000)
  clock.observe(read)
  const moment = performance.now() + 700
  t.ok(clock.deadline(moment)! <= moment + 5_000_000)
  clock.observe(read - 60_000)
  t.ok(clock.deadline(moment)! <= moment + 5_000_000 - 60_000)
})
