import type { FastifyRequest } from 'fastify'
import { InvalidProof } from './proof.ts'
import { createProofCheck } from './replay.ts'

/** Returns the thumbprint of the key that a request proves, `undefined` without a proof. @throws InvalidProof */
export type ProofOf = (request: FastifyRequest | undefined) => string | undefined

/** The check of proofs at a refresh; `undefined` with `DPOP=off`. */
export function createProofOf (config: { DPOP: string, OAUTH_ISSUER?: string | undefined }): ProofOf | undefined {
  const { DPOP: mode, OAUTH_ISSUER: origin } = config
  if (mode === 'off') return undefined
  const checkProof = createProofCheck()
  return request => {
    const proof = request && proofHeader(request)
    if (proof !== undefined) return checkProof({ proof, method: request!.method, url: urlOf(request!, origin) })
    if (mode === 'required') throw new InvalidProof('it is missing')
    return undefined
  }
}

/** The header `DPoP`. Node joins several with commas, and no proof has a comma. */
export function proofHeader ({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  return headers['dpop'] as string | undefined
}

/** The address that a client called. Without an `origin`, the `Host` header has it, or a proxy that the app trusts. */
export function urlOf ({ protocol, host, originalUrl }: FastifyRequest, origin = `${protocol}://${host}`): string {
  return `${origin}${originalUrl}`
}
