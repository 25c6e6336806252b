import fc from 'fast-check'
import t from 'tap'
import { startRedis } from '../../support/helper.ts'
import { isSoak, seeds } from '../../support/soak.ts'
import { ofFaces, runProperty } from './runs.ts'
import { createWorlds } from './world.ts'

/** Compares the store with the model of the design: any sequence of commands gives the same answers and records in both. */

/** Runs per seed; each has up to eighty commands. */
const RUNS = isSoak ? 2000 : 200

/** Every possible outcome, and how often it must at least occur in the runs of one seed. */
const OUTCOMES: Record<string, number> = {
  opened: 500,
  'without a device': 50,
  'opened with claims': 200,
  'rotated with claims': 200,
  'retried with claims': 10,
  'recovered with claims': 10,
  logged_out: 30,
  ahead: 4,
  'a newer profile stays': 30,
  'a known profile stays': 100,
  'an unknown profile': 30,
  rotated: 500,
  retried: 20,
  'retried by its key': 8,
  recovered: 30,
  forged: 8,
  unknown: 500,
  device_mismatch: 10,
  expired: 30,
  'too old to recover': 5,
  reused: 15,
  'held to the absolute lifetime': 100,
  'event: opened': 300,
  'event: logout': 100,
  'event: reuse': 15,
  'event: replaced': 100,
  'event: evicted': 30,
  'event: expired': 50,
  'event: profile': 200,
  'profile updated': 30,
  'profile of nobody': 10,
  'log-out: ended': 15,
  'log-out: absent': 50,
  'log-out: device_mismatch': 10,
  'all others logged out': 10,
  'all logged out': 30,
  erased: 30,
  read: 30,
  'nothing to read': 10,
  found: 30,
  'not found': 50,
  'the record expired as a whole': 30,
  'rolled back': 150,
  'the clock was set back': 50,
  'made permanent': 50,
  'secrets rotated': 50
}

t.test('the store gives the same answers and records as the model', { timeout: 0 }, async t => {
  // These tests need no persistence.
  const redis = await startRedis(t, ['--appendonly', 'no'])
  await Promise.all(seeds([1, 2]).map(async seed => {
    const worlds = await createWorlds(t, redis, `seed${seed}:`)
    const seen = new Map<string, number>()
    await fc.assert(runProperty(worlds, seen), { seed, numRuns: RUNS })
    t.comment(`seed ${seed}: ${JSON.stringify(Object.fromEntries(seen))}`)
    t.same([...seen.keys()].sort(), Object.keys(OUTCOMES).sort(), `seed ${seed}: every listed outcome occurs, and no other`)
    for (const [name, times] of seen) t.ok(times >= OUTCOMES[name]!, `seed ${seed}: ${name}, ${times} times`)
  }))
})

/** What occurs only to OAuth clients, holders of keys and browsers. */
const OF_FACES: Record<string, number> = {
  client_mismatch: 50,
  key_mismatch: 50,
  shared: 50,
  'bound by a refresh': 50,
  'retried by its proof': 10,
  'log-out: client_mismatch': 5
}

t.test('so it does for sessions with a client or a key, and for tokens that tabs share', { timeout: 0 }, async t => {
  const redis = await startRedis(t, ['--appendonly', 'no'])
  const [seed] = seeds([3]) as [number]
  const seen = new Map<string, number>()
  await fc.assert(runProperty(await createWorlds(t, redis, 'faces:'), seen, ofFaces), { seed, numRuns: RUNS })
  t.comment(`seed ${seed}: ${JSON.stringify(Object.fromEntries(seen))}`)
  for (const [name, times] of Object.entries(OF_FACES)) t.ok((seen.get(name) ?? 0) >= times, `seed ${seed}: ${name}, ${seen.get(name)} times`)
})
