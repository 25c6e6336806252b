import { InvalidProof, proofAlgorithms, type PresentedProof } from './proof.ts'
import type { ProofCheck } from './replay.ts'

/** Schemes of an access token (RFC 6750 section 2.1, RFC 9449 section 7.1). */
export type Scheme = 'Bearer' | 'DPoP'

/**
 * Checks that an authentic access token comes as its binding demands: a bound one with a proof by its key, any other without.
 * `jkt` is the thumbprint in the token, `presented` the request of the scheme DPoP.
 * @throws InvalidProof
 */
export function checkBinding (checkProof: ProofCheck, token: string, jkt: string | undefined, presented: PresentedProof | undefined): void {
  if (jkt !== undefined && presented === undefined) throw new InvalidProof('the access token is bound to a key, and no proof is presented')
  if (jkt === undefined && presented !== undefined) throw new InvalidProof('the access token is bound to no key')
  if (jkt !== undefined) checkProof(presented!, { token, jkt })
}

/** As `checkBinding`, but returns the `WWW-Authenticate` of a refusal, `undefined` if the token comes as its binding demands. */
export function bindingChallenge (
  checkProof: ProofCheck, { scheme, token }: { scheme: Scheme, token: string }, jkt: string | undefined, presented: PresentedProof
): string | undefined {
  try {
    checkBinding(checkProof, token, jkt, scheme === 'DPoP' ? presented : undefined)
    return undefined
  } catch (err) {
    if (!(err instanceof InvalidProof)) throw err
    return challenge(scheme, jkt !== undefined)
  }
}

/** The `WWW-Authenticate` of a refused access token. `isUnproved`: its binding is the reason. */
export function challenge (scheme: Scheme, isUnproved: boolean): string {
  if (scheme === 'Bearer' && !isUnproved) return 'Bearer error="invalid_token"'
  const error = scheme === 'DPoP' && isUnproved ? 'invalid_dpop_proof' : 'invalid_token'
  return `DPoP error="${error}", algs="${proofAlgorithms.join(' ')}"`
}
