import t from 'tap'
import { createRedisClock, furthestFromZero } from '#src/sessions/servers'

t.test('has no deadline before the first reply, and after a reset', async t => {
  const clock = createRedisClock()
  t.equal(clock.deadline(performance.now()), undefined)
  clock.observe(1)
  t.type(clock.deadline(performance.now()), 'number')
  clock.reset()
  t.equal(clock.deadline(performance.now()), undefined)
})

t.test('a deadline is never later than its moment, and uses the last reply', async t => {
  const clock = createRedisClock()
  const read = Math.floor(performance.now() + 5_000_000)
  clock.observe(read)
  const moment = performance.now() + 700
  t.ok(clock.deadline(moment)! <= moment + 5_000_000)
  clock.observe(read - 60_000)
  t.ok(clock.deadline(moment)! <= moment + 5_000_000 - 60_000)
})

t.test('takeAhead returns how far Redis\'s clock is ahead: now, or the maximum since the last call', async t => {
  const clock = createRedisClock()
  t.equal(clock.takeAhead!(), undefined)
  const about = (seconds: number): void => { t.ok(Math.abs(clock.takeAhead!()! - seconds) < 5, `${seconds} s`) }
  clock.observe(Date.now() + 3_600_000)
  clock.observe(Date.now() - 60_000)
  about(3600)
  about(-60)
  clock.observe(Date.now() - 7_200_000)
  clock.observe(Date.now())
  about(0)
  clock.observe(Date.now() - 60_000)
  about(-60)
  clock.observe(Date.now() + 3_600_000)
  clock.reset()
  t.equal(clock.takeAhead!(), undefined)
  t.equal(furthestFromZero([]), undefined)
  t.equal(furthestFromZero([1, -3, 2]), -3)
})
