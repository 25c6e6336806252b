import { CLOCK_TOLERANCE, InvalidProof, MAX_AGE, verifyProof, type BoundToken, type PresentedProof, type Proof } from './proof.ts'

/** Milliseconds from the first use of a proof to the end of its validity. */
const VALIDITY = (MAX_AGE + CLOCK_TOLERANCE) * 1000

/** Proofs that each of the two sets holds. */
const MAX_PROOFS = 100_000

export type ProofCheck = (presented: PresentedProof, bound?: BoundToken) => string

/**
 * Returns a function that verifies proofs, each only once (RFC 9449 section 11.1), and returns the thumbprint of the key. Its memory is
 * that of this process, and holds at most two sets of proofs. When more are used, the oldest are forgotten before their time.
 * Call it only with an authentic token, so that strangers can't fill the memory. `now` is monotonic, in milliseconds.
 */
export function createProofCheck (max = MAX_PROOFS, now = () => performance.now()): ProofCheck {
  let [used, older] = [new Set<string>(), new Set<string>()]
  let since = now()

  function isUsed ({ jkt, jti }: Proof): boolean {
    if (now() - since > VALIDITY || used.size >= max) [used, older, since] = [new Set(), used, now()]
    const id = `${jkt}${jti}`
    if (used.has(id) || older.has(id)) return true
    used.add(id)
    return false
  }

  return (presented, bound) => {
    const proof = verifyProof(presented, bound)
    if (isUsed(proof)) throw new InvalidProof('it has been used')
    return proof.jkt
  }
}
