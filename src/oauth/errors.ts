import type { AnsweredError, WriteError } from '#src/core/error-handler'
import { RefreshRefused, TurnedAway, UnsupportedGrantType } from '#src/errors'
import { BASIC_CHALLENGE } from '#src/http/callers'
import type { OauthErrorCode } from '#src/schemas/oauth'

/** One text for each error code, whatever the cause: an attacker learns nothing. */
const descriptions: Record<OauthErrorCode, string> = {
  invalid_request: 'The request must be a form with the documented parameters, each once, and well-formed headers.',
  invalid_client: 'The client is not authenticated. A confidential client authenticates with client_secret_basic.',
  invalid_grant: 'The refresh token can\'t be used by this client and device. Ask the user to log in.',
  invalid_dpop_proof: 'The DPoP proof is invalid.',
  unsupported_grant_type: 'The only grant type is refresh_token.',
  temporarily_unavailable: 'Keep the tokens and try again.'
}

/**
 * Writes OAuth errors (RFC 6749, RFC 9449), and the 200 for the revocation of a forged token or another client's (RFC 7009 section 2.2).
 * A failure of the service is a 503 and never `invalid_grant`, after which a client would drop its tokens.
 */
export const writeOauthError: WriteError = ({ err, status, counts }) => {
  if (counts === 'logouts' && err instanceof RefreshRefused && (err.outcome === 'forged' || err.outcome === 'client_mismatch')) {
    return { status: 200, body: {} }
  }
  const error = codeOf(err, status)
  const body = { error, error_description: descriptions[error] }
  if (status === 500) return { status: 503, headers: { 'retry-after': String(err instanceof TurnedAway ? err.retryAfter : 1) }, body }
  return error === 'invalid_client' ? { status: 401, headers: { 'www-authenticate': BASIC_CHALLENGE }, body } : { status, body }
}

function codeOf (err: AnsweredError, status: number): OauthErrorCode {
  if (status === 500 || status === 429) return 'temporarily_unavailable'
  if (err instanceof UnsupportedGrantType) return 'unsupported_grant_type'
  if (!(err instanceof RefreshRefused)) return 'invalid_request'
  switch (err.outcome) {
    case 'malformed': return 'invalid_request'
    case 'invalid_client': return 'invalid_client'
    case 'invalid_proof': return 'invalid_dpop_proof'
    default: return 'invalid_grant'
  }
}
