import { Type } from '@sinclair/typebox'
import { DeviceId, IdempotencyKey, UserId } from './fields.ts'

/**
 * The documented request. Unknown fields are ignored. Our own tokens are below 500 bytes; the length limit leaves room
 * for longer issuers, and prevents the hashing of huge tokens.
 */
export const RefreshRequest = Type.Object({
  deviceId: DeviceId,
  refreshToken: Type.String({ minLength: 1, maxLength: 4096, description: 'Refresh token (JWT), the last one received' })
}, {
  title: 'RefreshRequest',
  examples: [{ deviceId: 'Unique key', refreshToken: 'eyJ…' }]
})

/** Any refresh token of the session ends it, also a used or expired one: a client may not know which of its tokens is the last. */
export const LogoutRequest = Type.Object({
  deviceId: DeviceId,
  refreshToken: { ...RefreshRequest.properties.refreshToken, description: 'A refresh token (JWT) of the session' }
}, {
  title: 'LogoutRequest',
  examples: [{ deviceId: 'Unique key', refreshToken: 'eyJ…' }]
})

export const RefreshHeaders = Type.Object({ 'Idempotency-Key': Type.Optional(IdempotencyKey) })

/** The documented answer: these five keys, in this order. Opening a session gives the same answer. */
export const SessionTokens = Type.Object({
  id: UserId,
  email: Type.String({ description: 'E-mail address; empty if the login service has given none' }),
  role: Type.String({ description: 'The user\'s role; empty if the login service has given none' }),
  token: Type.String({ description: 'Access token (JWT)' }),
  refreshToken: Type.String({ description: 'Refresh token (JWT); works once' })
}, {
  title: 'SessionTokens',
  description: 'The new tokens, and the current profile of the user.',
  examples: [{ id: 1, email: 'guest@keygenqt.com', role: 'GUEST', token: 'eyJ…', refreshToken: 'eyJ…' }]
})
