import { readFileSync } from 'node:fs'
import type { Machine } from '../harness/machine.ts'
import type { GrowthResults } from '../parts/growth.ts'
import type { MemoryResults } from '../parts/memory.ts'
import type { ProfileResult } from '../parts/profile.ts'
import type { RaceResults } from '../parts/race.ts'
import type { SessionsResult } from '../parts/sessions.ts'
import type { SpeedResult } from '../parts/speed.ts'
import type { StartResult } from '../parts/start.ts'
import type { Settings } from '../settings.ts'

/** Results of each part, by the name of its file. */
export interface Findings {
  speed: SpeedResult
  race: RaceResults
  memory: MemoryResults
  start: StartResult
  profile: ProfileResult
  growth: GrowthResults
  sessions: SessionsResult
  'five-million': SessionsResult
}

/** One results file. */
export interface Run<T> {
  date: string
  seconds: number
  /** Whether this was a trial run, whose figures mean nothing. */
  quick: boolean
  machine: Machine
  settings: Settings
  results: T
}

export type Results = { [Part in keyof Findings]?: Run<Findings[Part]> }

export const partNames = [
  'speed', 'race', 'memory', 'start', 'profile', 'growth', 'sessions', 'five-million'
] as const

/** Reads the results of all parts that have been run. Each part may be run alone, so their dates may differ. */
export function readResults (folder: string): Results {
  const found = partNames.flatMap(part => {
    try {
      return [[part, JSON.parse(readFileSync(`${folder}/${part}.json`, 'utf8'))]]
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw err
    }
  })
  return Object.fromEntries(found)
}
