import { readFileSync } from 'node:fs'
import type { Machine } from '../harness/machine.ts'
import type { FeatureResult } from '../suites/features.ts'
import type { GrowthResults } from '../suites/growth.ts'
import type { MemoryResults } from '../suites/memory.ts'
import type { ProfileResult } from '../suites/profile.ts'
import type { RaceResults } from '../suites/race.ts'
import type { SaturationResult } from '../suites/saturation.ts'
import type { SessionsResult } from '../suites/sessions.ts'
import type { SpeedResult } from '../suites/speed.ts'
import type { StartResult } from '../suites/start.ts'
import type { Settings } from '../settings.ts'

/** Results of each suite, by the name of its file. */
export interface Findings {
  speed: SpeedResult
  saturation: SaturationResult
  race: RaceResults
  memory: MemoryResults
  start: StartResult
  profile: ProfileResult
  features: FeatureResult[]
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

export type Results = { [Suite in keyof Findings]?: Run<Findings[Suite]> }

export const suiteNames = ['speed', 'saturation', 'race', 'memory', 'start', 'profile', 'features', 'growth', 'sessions', 'five-million'] as const

/** Reads the results of all suites that have been run. Each suite may be run alone, so their dates may differ. */
export function readResults (folder: string): Results {
  const found = suiteNames.flatMap(name => {
    try {
      return [[name, JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8'))]]
    } catch (err) {
      if ((err as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw err
    }
  })
  return Object.fromEntries(found)
}
