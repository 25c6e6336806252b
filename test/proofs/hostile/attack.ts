import type { Random } from '../../support/random.ts'
import type { Own, Targets } from './targets.ts'
import type { Sending } from './wire.ts'

/** What is sent, and all that the service may answer. */
export interface Attack extends Sending {
  /** The listener that it is sent to; the public one. */
  listener?: 'internal'
  /** Statuses that its answers may have; 400. */
  may?: number[]
  /** Whether the connection may be closed without an answer: there is nobody left to answer, or nothing to answer to. */
  mayBeSilent?: boolean
  /** How many answers there must be, when the bytes could be read as more requests than they are. */
  exactly?: number
  /** The session that a 200 refreshes: what is sent is unusual, but right. */
  own?: Own
}

/** Makes an attack of one kind. */
export type Make = (random: Random, targets: Targets) => Attack

/** Attacks of one class, by the name of their kind. */
export type Kinds = Record<string, Make>

/** One request, whose answer the client waits for. */
export const ask = (...pieces: Buffer[]): Attack => ({ pieces, then: 'answers' })
