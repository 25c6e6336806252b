import t from 'tap'
import { createRedisClock } from '../../src/sessions/clock.ts'

t.test('nothing is dated before the first reply', async t => {
  t.equal(createRedisClock().deadline(performance.now() + 700), 0)
})

t.test('a deadline is never ahead of the moment it stands for', async t => {
  const clock = createRedisClock()
  const redisNow = (): number => performance.now() + 5_000_000
  const read = Math.floor(redisNow())
  clock.observe(read)
  const moment = performance.now() + 700
  t.ok(clock.deadline(moment) <= moment + 5_000_000)
  clock.observe(read - 60_000)
  t.ok(clock.deadline(moment) <= moment + 5_000_000 - 60_000, 'the last reply counts')
})
