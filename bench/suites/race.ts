import type { ContenderName } from '../harness/contenders.ts'
import { withEnvironment } from '../harness/environment.ts'
import type { Report, Settings } from '../settings.ts'

/** Results of sending one token many times at once, with another session in every round. */
export interface RaceOf {
  copies: number
  rounds: number
  /** Rounds in which several different successors work, and the number of working successors beyond the first. */
  doubleSpentRounds: number
  doubleSpent: number
  /** Rounds after which no token of the session works any more: an honest client's retries logged it out. */
  lostSessions: number
  /** Answers without a successor, over all copies. */
  refused: number
}

export type RaceResults = Partial<Record<ContenderName, RaceOf>>

/** Skips the ceiling, which has no rotation to race for. */
export async function race (settings: Settings, report: Report) {
  const { raceRounds: rounds, copies } = settings
  return await withEnvironment(settings, settings.contenders.filter(name => name !== 'ceiling'), async ({ load, contenders, machine }) => {
    const results: RaceResults = {}
    for (const contender of contenders) {
      await load.sessions(contender, [])
      const races = await load.race(contender.name, copies, await contender.open(1, rounds))
      const result = {
        copies,
        rounds,
        doubleSpentRounds: races.filter(({ working }) => working > 1).length,
        doubleSpent: races.reduce((sum, { working }) => sum + Math.max(0, working - 1), 0),
        lostSessions: races.filter(({ working }) => working === 0).length,
        refused: races.reduce((sum, { refused }) => sum + refused, 0)
      }
      results[contender.name] = result
      report(`${contender.name.padEnd(14)} ${result.doubleSpent} tokens double-spent, ${result.lostSessions} of ${rounds} sessions lost`)
    }
    return { machine, results }
  })
}
