import type { ContenderName } from './harness/contenders.ts'

/** Sizes and durations of the measurements; times are in seconds. */
export interface Settings {
  contenders: ContenderName[]
  /** Whether a 500 is accepted, for a trial on a busy machine. */
  acceptUnavailable: boolean
  rounds: number
  warmup: number
  seconds: number
  latencySeconds: number
  connections: number
  /** Sessions that the generator refreshes in turn. */
  sessions: number
  copies: number
  raceRounds: number
  memoryUsers: number
  starts: number
  /** For the suite `growth`: total rotations, number of sessions, and number of stretches. */
  rotations: number
  growthSessions: number
  growthPoints: number
  manySessions: number
  mostSessions: number
}

/** Reports progress to the user. */
export type Report = (line: string) => void

type Amounts = Omit<Settings, 'contenders'>

export const full: Amounts = {
  acceptUnavailable: false,
  rounds: 5,
  warmup: 0.7,
  seconds: 3,
  latencySeconds: 4,
  connections: 64,
  sessions: 1000,
  copies: 32,
  raceRounds: 100,
  memoryUsers: 100_000,
  starts: 10,
  rotations: 1_000_000,
  growthSessions: 10_000,
  growthPoints: 20,
  manySessions: 1_000_000,
  mostSessions: 5_000_000
}

/** Just enough to check that everything works; the figures mean nothing. */
export const quick: Amounts = {
  acceptUnavailable: true,
  rounds: 1,
  warmup: 0.05,
  seconds: 0.2,
  latencySeconds: 0.2,
  connections: 8,
  sessions: 32,
  copies: 8,
  raceRounds: 3,
  memoryUsers: 200,
  starts: 1,
  rotations: 1000,
  growthSessions: 16,
  growthPoints: 2,
  manySessions: 200,
  mostSessions: 300
}
