import type { Kinds } from './attack.ts'
import { tokens } from './tokens.ts'
import { LOG_OUT, REFRESH } from './wire.ts'

/** Attacks of a signer whose session is not stored: nothing is there to end, so a log-out succeeds. */
const ENDED = [
  'the session of another user, signed by the secret', 'a user or a session that is not there, signed by the secret'
]

/** The attacks by tokens, as log-outs. */
export const logouts: Kinds = Object.fromEntries(Object.entries(tokens).map(([kind, make]) => [kind, (random, targets) => {
  const { pieces, ...attack } = make(random, targets)
  const asLogOut = pieces.map(bytes => Buffer.from(bytes.toString('latin1').replace(`POST ${REFRESH} `, `POST ${LOG_OUT} `), 'latin1'))
  return { ...attack, pieces: asLogOut, may: [ENDED.includes(kind) ? 204 : 400] }
}]))
