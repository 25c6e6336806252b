import { type TString, Type } from '@sinclair/typebox'
import { Email, Role, SessionId, Thumbprint, UserId } from './fields.ts'

/**
 * RFC 7662 section 2.1. Unknown parameters are ignored; a repeated parameter is refused (RFC 6749 section 3.1). A token may
 * have any length: one that is too long to be ours is inactive, not malformed.
 */
export const IntrospectionRequest = Type.Object({
  token: Type.String({ minLength: 1, description: 'An access token or a refresh token' }),
  token_type_hint: Type.Optional(Type.String({ description: '`refresh_token` includes refresh tokens, which are otherwise inactive. Any other value has no effect' }))
}, {
  title: 'IntrospectionRequest',
  examples: [{ token: 'eyJ…', token_type_hint: 'access_token' }]
})

const UnixTime = Type.Integer({ description: 'Unix seconds' })

const IfKnown = (schema: TString, description: string) =>
  Type.Optional(Type.Unsafe<string | undefined>({ ...schema, description: `${description}; absent if the login service has given none` }))

const Active = Type.Object({
  active: Type.Literal(true),
  token_type: Type.Union([Type.Literal('Bearer'), Type.Literal('DPoP'), Type.Literal('N_A')], { description: 'DPoP for an access token that is bound to a key; N_A for a refresh token (RFC 8693 section 2.2.1)' }),
  token_use: Type.Union([Type.Literal('access'), Type.Literal('refresh')], { description: '`refresh` only with the hint `refresh_token`' }),
  sub: Type.String({ description: 'The user\'s id as text; differs from the token\'s own `sub` claim, which names the kind of token' }),
  username: IfKnown(Email, 'E-mail address'),
  iss: Type.String(),
  iat: UnixTime,
  exp: UnixTime,
  id: UserId,
  sid: SessionId,
  role: IfKnown(Role, 'The user\'s role'),
  client_id: Type.Optional(Type.Unsafe<string | undefined>({ type: 'string', description: 'The OAuth client of the session' })),
  cnf: Type.Optional(Type.Unsafe<{ jkt: string } | undefined>({
    ...Type.Object({ jkt: Thumbprint }),
    description: 'The key that the token is bound to (RFC 9449 section 6.2). An API that accepts the token checks a proof by this key'
  }))
}, { additionalProperties: true })

/** The answer for an inactive token has no other fields. */
const Inactive = Type.Object({ active: Type.Literal(false) })

export const Introspection = Type.Union([Active, Inactive], {
  title: 'Introspection',
  description: 'The claims of an active token, and the claims of its user and session that the login service set; only `active: false` for every other token.',
  examples: [
    {
      active: true,
      token_type: 'Bearer',
      token_use: 'access',
      sub: '1',
      username: 'guest@keygenqt.com',
      iss: 'ktor.io',
      iat: 1661587324,
      exp: 1661588224,
      id: 1,
      sid: 'Zzlk82E3Q3YWaaQ2Ke2BsQ',
      role: 'GUEST'
    },
    { active: false }
  ]
})
