import type { FastifyError } from 'fastify'
import { Aborted, RefreshRefused, TurnedAway } from '#src/errors'
import type { RefreshOutcome } from './definitions.ts'

/** Outcome of a refresh or a log-out that was answered with an error and `status`. */
export function refusedOutcome (err: FastifyError | RefreshRefused | TurnedAway, status: number): RefreshOutcome {
  if (err instanceof RefreshRefused || err instanceof TurnedAway) return err.outcome
  if (err instanceof Aborted) return 'aborted'
  return status === 500 ? 'unavailable' : 'malformed'
}
