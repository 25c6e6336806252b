import type { Random } from '../../support/random.ts'
import type { Own, Targets } from './targets.ts'
import type { Sending } from './wire.ts'

/** The bytes to send, and the answers that the service may give. */
export interface Attack extends Sending {
  /** The target listener. Default: the public one. */
  listener?: 'internal'
  /** Whose form the answers have. Default: that of the documented endpoint. */
  face?: 'oauth'
  /** The error code of the OAuth routes. Default: one of a wrong request. */
  error?: string
  /** Allowed statuses. Default: 400 only. */
  may?: number[]
  /** Whether the connection may close without an answer, because the client has left or sent no complete request. */
  mayBeSilent?: boolean
  /** Required number of answers, if the bytes could be misread as more requests. */
  exactly?: number
  /** The session that a 200 refreshes: the request is unusual, but valid. */
  own?: Own
}

/** Makes an attack of one kind. */
export type Make = (random: Random, targets: Targets) => Attack

/** Attacks of one class, by the name of their kind. */
export type Kinds = Record<string, Make>

/** One request; the client waits for its answer. */
export const ask = (...pieces: Buffer[]): Attack => ({ pieces, then: 'answers' })
