import { Type } from '@sinclair/typebox'
import { DeviceId } from './fields.ts'
import { RefreshRequest } from './refresh.ts'

/** The forms of OAuth. Unknown parameters are ignored; a repeated parameter is refused (RFC 6749 section 3.1). */

const common = {
  device_id: Type.Optional({ ...DeviceId, description: 'The device of the session; left out for a session without a device' }),
  client_id: Type.Optional(Type.String({ description: 'The client; a public client may leave it out if the session belongs to none' })),
  client_secret: Type.Optional(Type.String({ description: 'Refused: a confidential client authenticates with `Authorization: Basic`' }))
}

export const TokenRequest = Type.Object({
  grant_type: Type.Literal('refresh_token'),
  refresh_token: { ...RefreshRequest.properties.refreshToken, description: 'Refresh token, the last one received' },
  ...common,
  scope: Type.Optional(Type.String({ description: 'Ignored: the session decides (RFC 6749, section 3.3)' }))
}, {
  title: 'OauthTokenRequest',
  examples: [{ grant_type: 'refresh_token', refresh_token: 'eyJ…', device_id: 'Unique key' }]
})

/** A token may have any length: one that is too long to be ours is invalid, not malformed. */
export const RevocationRequest = Type.Object({
  token: Type.String({ minLength: 1, description: 'Any refresh token of the session, also a used or expired one' }),
  token_type_hint: Type.Optional(Type.String({ description: 'Without effect' })),
  ...common
}, {
  title: 'OauthRevocationRequest',
  examples: [{ token: 'eyJ…', token_type_hint: 'refresh_token', device_id: 'Unique key' }]
})

export const TokenAnswer = Type.Object({
  access_token: Type.String({ description: 'Access token (JWT)' }),
  token_type: Type.Union([Type.Literal('Bearer'), Type.Literal('DPoP')], { description: '`DPoP` for a session that is bound to a key' }),
  expires_in: Type.Integer({ minimum: 1, description: 'Lifetime of the access token, seconds' }),
  refresh_token: Type.String({ description: 'Refresh token (JWT); works once' }),
  scope: Type.Optional(Type.String({ description: 'The claim `scope` of the session or its user, if it is a text' }))
}, {
  title: 'OauthTokens',
  description: 'The new tokens (RFC 6749, section 5.1).',
  examples: [{ access_token: 'eyJ…', token_type: 'Bearer', expires_in: 900, refresh_token: 'eyJ…' }]
})

export const Revoked = Type.Object({}, {
  title: 'OauthRevoked',
  description: 'The session has ended, now or before; or the token is no refresh token of this service, or belongs to another client, and nothing has ended.',
  examples: [{}]
})

const codes = [
  'invalid_request', 'invalid_client', 'invalid_grant', 'invalid_dpop_proof', 'unsupported_grant_type', 'temporarily_unavailable'
] as const

export type OauthErrorCode = typeof codes[number]

/** RFC 6749 section 5.2. */
const OauthError = Type.Object({
  error: Type.Unsafe<OauthErrorCode>({ type: 'string', enum: codes }),
  error_description: Type.String({ description: 'For developers; programs read `error`' })
}, { title: 'OauthError' })

const retryAfter = { 'Retry-After': { type: 'integer', minimum: 1, description: 'Seconds to wait' } }

const errorOf = (error: OauthErrorCode, description: string, headers?: object) =>
  ({ ...OauthError, description, examples: [{ error, error_description: '…' }], ...headers && { headers } })

/** The error answers of both OAuth endpoints; a route adds its own 400. */
export const oauthErrors = {
  401: errorOf('invalid_client', 'The client is not authenticated.', {
    'WWW-Authenticate': { type: 'string', description: 'The scheme Basic' }
  }),
  429: errorOf('temporarily_unavailable', 'Only when rate limiting is on: too many requests from this address or for this session.', retryAfter),
  503: errorOf('temporarily_unavailable', 'Every failure of the service. The session is not gone: keep the tokens and try again.', retryAfter)
}

export const TokenRefused = errorOf('invalid_grant', '`invalid_grant`: the token is forged, expired, unknown, revoked or reused, or of another client ' +
  'or device; ask the user to log in. `invalid_request` and `unsupported_grant_type`: the request is not as documented. `invalid_dpop_proof`: the proof is invalid.')

export const RevocationRefused = errorOf('invalid_grant', '`invalid_grant`: the token is of another device, and its session lives on. `invalid_request`: the ' +
  'request is not as documented.')

const Address = (description: string) => Type.String({ format: 'uri', description })

/** RFC 8414 section 2. */
export const OauthMetadata = Type.Object({
  issuer: Address('`OAUTH_ISSUER`'),
  token_endpoint: Address('For refreshes'),
  revocation_endpoint: Address('For log-outs (RFC 7009)'),
  jwks_uri: Address('The public keys of access tokens'),
  response_types_supported: Type.Array(Type.String(), { description: 'Empty: there is no authorization endpoint' }),
  grant_types_supported: Type.Array(Type.String()),
  token_endpoint_auth_methods_supported: Type.Array(Type.String()),
  revocation_endpoint_auth_methods_supported: Type.Array(Type.String()),
  dpop_signing_alg_values_supported: Type.Optional(Type.Array(Type.String(), { description: 'Absent with `DPOP=off`' }))
}, {
  title: 'OauthMetadata',
  description: 'The metadata.',
  examples: [{
    issuer: 'https://id.example.com',
    token_endpoint: 'https://id.example.com/oauth/token',
    revocation_endpoint: 'https://id.example.com/oauth/revoke',
    jwks_uri: 'https://id.example.com/.well-known/jwks.json',
    response_types_supported: [],
    grant_types_supported: ['refresh_token'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
    revocation_endpoint_auth_methods_supported: ['none', 'client_secret_basic']
  }]
})
