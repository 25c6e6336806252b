import type { Static } from '@sinclair/typebox'
import { proofAlgorithms } from '#src/dpop/proof'
import type { OauthMetadata } from '#src/schemas/oauth'

export interface MetadataOptions {
  /** An origin. */
  issuer: string
  /** Whether callers of the internal API can be confidential clients. */
  hasConfidentialClients: boolean
  /** Whether refreshes can prove a key. */
  hasProofs: boolean
}

/** The metadata of the authorization server (RFC 8414 section 2). */
export function oauthMetadata ({ issuer, hasConfidentialClients, hasProofs }: MetadataOptions): Static<typeof OauthMetadata> {
  const methods = hasConfidentialClients ? ['none', 'client_secret_basic'] : ['none']
  return {
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    revocation_endpoint: `${issuer}/oauth/revoke`,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    response_types_supported: [],
    grant_types_supported: ['refresh_token'],
    token_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_methods_supported: methods,
    ...hasProofs && { dpop_signing_alg_values_supported: [...proofAlgorithms] }
  }
}
