import { command, count, furthest, ofDevice, refresh, type Command, type Expected } from './commands.ts'
import * as model from './model.ts'
import type { Announcement } from './model.ts'
import type { World } from './world.ts'

/** Commands that are not requests: time passes, or Redis loses writes. */

async function elapse (expected: Expected, world: World, ms: number): Promise<Announcement[]> {
  expected.ms += ms
  await world.turn(expected.ms)
  const user = model.elapse(expected.user, expected.ms)
  if (user !== expected.user) count(expected, 'the record expired as a whole')
  expected.user = user
  return []
}

export const pass = (ms: number): Command =>
  command(`pass(${ms})`, async (expected, world) => await elapse(expected, world, ms))

/** Redis's clock is set back. */
export const setBack = (ms: number): Command =>
  command(`setBack(${ms})`, async (expected, world) => {
    count(expected, 'the clock was set back')
    return await elapse(expected, world, -ms)
  })

/** An operator removes the key's expiry. */
export const persist: Command =
  command('persist()', async (expected, world) => {
    await world.persist()
    expected.user = { ...expected.user!, isPermanent: true }
    count(expected, 'made permanent')
    return []
  }, ({ user }) => user !== null)

/** Lets time pass until the exact moment when the whole record expires, or a little after. */
export const passToEnd = (ms: number): Command =>
  command(`passToEnd(${ms})`, async (expected, world) =>
    await elapse(expected, world, Math.max(0, model.expiry(expected.user)! * 1000 + ms - expected.ms)),
  ({ user }) => model.expiry(user) !== undefined)

/** Lets time pass until the exact moment when the first session expires, or a little before or after. */
export const passToExpiry = (ms: number): Command =>
  command(`passToExpiry(${ms})`, async (expected, world) => {
    const first = Math.min(...expected.user!.sessions.map(({ expiresAt }) => expiresAt))
    return await elapse(expected, world, Math.max(0, first * 1000 + ms - expected.ms))
  }, ({ user }) => user !== null && user.sessions.length > 0)

export const save = command('save()', async (expected, world) => {
  expected.snapshots.push({ user: expected.user, saved: await world.save() })
  return []
})

/** Restores an earlier state while the clock goes on, as a failover or a restored backup does. */
export const rollBack = (back: number): Command =>
  command(`rollBack(${back})`, async (expected, world) => {
    const { user, saved } = expected.snapshots.at(-1 - back)!
    await world.restore(saved)
    await world.turn(expected.ms)
    expected.user = model.elapse(user, expected.ms)
    expected.rolledBack = true
    count(expected, 'rolled back')
    return []
  }, ({ snapshots }) => snapshots.length > back)

/** Runs several commands in a sequence that random runs rarely produce. */
function story (name: string, device: string, steps: Command[]): Command {
  return {
    check: expected => ofDevice(expected, device).length > 0,
    toString: () => `${name}(${device})`,
    async run (expected, world) {
      for (const step of steps) if (step.check(expected)) await step.run(expected, world)
    }
  }
}

/** A client that lost its answer repeats the request after `ms`, with the same Idempotency-Key. */
export const loseAnswer = (device: string, key: string, ms: number): Command =>
  story('loseAnswer', device, [refresh(device, 0, key), pass(ms), refresh(device, 1, key)])

/** A request arrives again after its successor was used, with the Idempotency-Key of both rotations. */
export const arriveAgain = (device: string, key: string): Command =>
  story('arriveAgain', device, [refresh(device, 0, key), refresh(device, 0, key), refresh(device, 2, key)])

/** A failover that loses the last rotations of a device: its client's token is ahead of the record. */
export const loseRotations = (device: string, rotations: number): Command =>
  story('loseRotations', device, [save, ...Array<Command>(rotations).fill(refresh(device, 0)), rollBack(0)])

/** After such a failover, refreshes with the older token, then presents the lost newer token once it has expired. */
export const outliveLost = (device: string): Command =>
  story('outliveLost', device, [loseRotations(device, 2), passToExpiry(-1000), refresh(device, 2), pass(1000), furthest(device)])
