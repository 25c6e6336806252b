import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { startRedis } from '../../support/helper.ts'
import { START_MS } from '../../support/clock.ts'
import type { Rules } from '../model/model.ts'
import { createWorlds } from '../model/world.ts'
import { isSoak, seeds } from '../../support/soak.ts'
import {
  always, shortLived, sometimes, sometimesWithCopiedKey, withBoundSession, withCopiedKey,
  withKeys, withKeysAlone, withoutCopiedKey, withoutWindow,
  type Sentence
} from './sentences.ts'
import { after, AGAIN, DEVICE, explore, JKT, ONCE, provedBy, spell, theft, type Holder, type Keys, type Sequence, type Step } from './simulation.ts'

/** Tests each sentence of docs/theft.md on every sequence of up to eight steps, and random sequences on the real store. */

const DEPTH = 8

/** Maximum steps of a sequence with Idempotency-Keys, of which there are several kinds. */
const KEY_DEPTH = 7

/** Maximum steps of a sequence in which the thief may copy the storage again: one step more to choose from at each moment. */
const COPY_DEPTH = 6

const rules: Rules = { idleTtl: 2_592_000, absoluteTtl: 31_536_000, retryWindow: 30, maxSessionsPerUser: 50 }

interface Verdict { of: number, against: string | undefined }

/** Checks each sentence on all sequences. Returns how many a sentence applies to, and the first that contradicts it. */
function evaluate (rules: Rules, sentences: Record<string, Sentence>, keys: Keys = 'none', depth = DEPTH, steps = ONCE as readonly Step[]): Map<string, Verdict> {
  const verdicts = new Map<string, Verdict>(Object.keys(sentences).map(id => [id, { of: 0, against: undefined }]))
  const all = Object.entries(sentences).map(([id, sentence]) => ({ sentence, verdict: verdicts.get(id)! }))
  explore(rules, keys, depth, sequence => {
    for (const { sentence, verdict } of all) {
      const isTrue = sentence(sequence, rules)
      if (isTrue === undefined) continue
      verdict.of++
      if (!isTrue) verdict.against ??= spell(sequence)
    }
  }, steps)
  return verdicts
}

function assertAll (t: Test, verdicts: Map<string, Verdict>, suffix = ''): void {
  for (const [id, { of, against }] of verdicts) {
    t.test(`${id}${suffix}`, async t => {
      t.equal(against, undefined)
      t.ok(of > 0, `true of ${of} sequences`)
    })
  }
}

t.test('every sentence of docs/theft.md has a test, and every test a sentence', async t => {
  const page = await readFile('docs/theft.md', 'utf8')
  const documented = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, id]) => id!)
  const tested = [
    always, withoutWindow, shortLived, sometimes, withKeys, withoutCopiedKey, withCopiedKey, withKeysAlone, sometimesWithCopiedKey,
    withBoundSession
  ]
  t.same(documented.sort(), tested.flatMap(sentences => Object.keys(sentences)).sort())
})

t.test('sentences that hold with a retry window', async t => {
  assertAll(t, evaluate(rules, always))
})

t.test('sentences that hold without a retry window', async t => {
  const { 'same-token': inWindow, 'one-sided': together, ...rest } = always
  const noWindow = { ...rules, retryWindow: 0 }
  assertAll(t, evaluate(noWindow, { ...rest, ...withoutWindow }), ', window 0')
  const verdicts = evaluate(noWindow, { inWindow: inWindow!, together: together! })
  t.same([...verdicts.values()], [{ of: 0, against: undefined }, { of: 0, against: undefined }], 'the sentences about the window apply to no sequence')
})

t.test('sentences that hold until the absolute end of a session', async t => {
  assertAll(t, evaluate({ ...rules, idleTtl: 100, absoluteTtl: 40 }, shortLived))
})

t.test('sentences that hold with Idempotency-Keys', async t => {
  for (const keys of ['client', 'both', 'copied'] as const) {
    const verdicts = evaluate(rules, { ...always, ...withKeys, ...keys === 'copied' ? withCopiedKey : withoutCopiedKey }, keys, KEY_DEPTH)
    t.same(verdicts.get('late-repeat'), { of: 0, against: undefined }, `no repeat is late, ${keys}`)
    verdicts.delete('late-repeat')
    assertAll(t, verdicts, `, ${keys}`)
  }
})

t.test('sentences that hold with Idempotency-Keys and without a retry window', async t => {
  const { 'late-repeat': _late, 'same-token': _same, 'one-sided': _together, ...rest } = always
  const noWindow = { ...rules, retryWindow: 0 }
  for (const keys of ['client', 'both'] as const) {
    assertAll(t, evaluate(noWindow, { ...rest, ...withKeys, ...withoutCopiedKey, ...withKeysAlone }, keys, KEY_DEPTH), `, window 0, ${keys}`)
  }
  assertAll(t, evaluate(noWindow, { ...rest, ...withKeys, ...withCopiedKey }, 'copied', KEY_DEPTH), ', window 0, copied')
})

t.test('sentences that hold in a session that is bound to a key of the client', async t => {
  for (const retryWindow of [30, 0]) {
    assertAll(t, evaluate({ ...rules, retryWindow }, withBoundSession, 'bound', COPY_DEPTH, AGAIN), `, window ${retryWindow}`)
  }
})

t.test('sentences that hold when the thief copies the storage again, at any moment', async t => {
  assertAll(t, evaluate(rules, always, 'none', COPY_DEPTH, AGAIN), ', copied again')
  assertAll(t, evaluate({ ...rules, idleTtl: 100, absoluteTtl: 40 }, shortLived, 'none', COPY_DEPTH, AGAIN), ', copied again')
  for (const keys of ['client', 'both', 'copied'] as const) {
    const { 'late-repeat': _late, ...rest } = always
    const sentences = { ...rest, ...withKeys, ...keys === 'copied' ? withCopiedKey : withoutCopiedKey }
    assertAll(t, evaluate(rules, sentences, keys, COPY_DEPTH, AGAIN), `, copied again, ${keys}`)
  }
})

t.test('attacks that are possible in at least one sequence', async t => {
  const assertShown = (attacks: Record<string, (sequence: Sequence) => boolean>, keys: Keys): void => {
    const shown = new Map<string, string>()
    explore(rules, keys, DEPTH, sequence => {
      for (const [id, isShown] of Object.entries(attacks)) if (!shown.has(id) && isShown(sequence)) shown.set(id, spell(sequence))
    })
    for (const id of Object.keys(attacks)) t.test(id, async t => { t.type(shown.get(id), 'string', shown.get(id)!) })
  }
  assertShown(sometimes, 'none')
  assertShown(sometimesWithCopiedKey, 'copied')
})

t.test('the real store gives the same answers as the simulation', { timeout: 0 }, async t => {
  const redis = await startRedis(t, ['--appendonly', 'no'])
  const worlds = await createWorlds(t, redis, 'theft:')
  const property = fc.asyncProperty(
    fc.constantFrom(rules, { ...rules, retryWindow: 0 }),
    fc.constantFrom<Keys>('none', 'client', 'both', 'copied', 'bound'),
    fc.array(fc.constantFrom(...AGAIN), { minLength: DEPTH, maxLength: DEPTH }),
    async (rules, keys, steps) => {
      const sequence = [theft(rules, keys)]
      for (const step of steps) {
        const next = after(sequence.at(-1)!, step, rules, keys)
        if (next !== undefined) sequence.push(next)
      }
      const world = worlds(rules)
      await world.turn(START_MS)
      const { bytes } = await world.open(DEVICE, '', 'guest@keygenqt.com', 'GUEST', undefined, keys === 'bound' ? { jkt: JKT } : {})
      const holds: Record<Holder, string | undefined> = { client: bytes, thief: bytes }
      for (const moment of sequence.slice(1)) {
        await world.turn(START_MS + moment.now * 1000)
        if (moment.asked !== undefined) {
          const { by, key, reply, isLost } = moment.asked
          const { refreshed, bytes } = await world.refresh(holds[by]!, DEVICE, { key, jkt: provedBy(by, keys) })
          if (refreshed.outcome !== reply.outcome) throw new Error(`${spell(sequence)}, ${keys}: ${refreshed.outcome} for ${reply.outcome}`)
          if (!isLost) holds[by] = bytes
        }
        if (moment.step === 'k') holds.thief = holds.client
        const isCommon = moment.client !== undefined && JSON.stringify(moment.client) === JSON.stringify(moment.thief)
        if (isCommon !== (holds.client !== undefined && holds.client === holds.thief)) throw new Error(`${spell(sequence)}, ${keys}: not the same tokens`)
      }
    }
  )
  for (const seed of seeds([1])) await t.resolves(fc.assert(property, { seed, numRuns: isSoak ? 5000 : 200 }), `seed ${seed}`)
})
