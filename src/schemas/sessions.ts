import { type TString, Type } from '@sinclair/typebox'
import { SessionTokens } from './refresh.ts'
import { AuthenticatedAt, ClientId, DeviceId, Email, Label, Lifetime, Role, SessionClaims, SessionId, Thumbprint, UserClaims, UserId, UserIdParam } from './fields.ts'

const OpenSession = Type.Object({
  userId: UserId,
  email: Type.Optional(Email),
  role: Type.Optional(Role),
  deviceId: Type.Optional(DeviceId),
  label: Type.Optional(Label),
  authenticatedAt: Type.Optional(AuthenticatedAt),
  userClaims: Type.Optional(UserClaims),
  sessionClaims: Type.Optional(SessionClaims),
  clientId: Type.Optional(ClientId),
  jkt: Type.Optional(Thumbprint)
}, {
  title: 'OpenSessionRequest',
  examples: [{
    userId: 1,
    email: 'guest@keygenqt.com',
    role: 'GUEST',
    deviceId: 'Unique key',
    label: 'Pixel 9',
    authenticatedAt: 1795408528.123,
    userClaims: { plan: 'gold' },
    sessionClaims: { auth_time: 1795408528, amr: ['pwd', 'otp'] }
  }, {
    userId: 'user_01',
    deviceId: 'Unique key',
    authenticatedAt: 1795408528.123
  }]
})

interface Lifetimes { REFRESH_IDLE_TTL: number, REFRESH_ABSOLUTE_TTL: number }

const withLifetimes = ({ REFRESH_IDLE_TTL: idle, REFRESH_ABSOLUTE_TTL: absolute }: Lifetimes) => Type.Composite([
  OpenSession,
  Type.Object({
    idleTtl: Type.Optional(Lifetime(idle, 'Seconds that this session lives without a refresh; at most `REFRESH_IDLE_TTL`')),
    absoluteTtl: Type.Optional(Lifetime(absolute, 'Seconds that this session lives in total; at most `REFRESH_ABSOLUTE_TTL`'))
  })
], { title: OpenSession.title!, examples: OpenSession.examples as object[] })

const requests = new Map<string, ReturnType<typeof withLifetimes>>()

/** The request; its lifetimes are at most the configured ones. The same limits give the same schema, which is compiled once. */
export function openSessionRequest (limits: Lifetimes): ReturnType<typeof withLifetimes> {
  const name = `${limits.REFRESH_IDLE_TTL}:${limits.REFRESH_ABSOLUTE_TTL}`
  const request = requests.get(name) ?? withLifetimes(limits)
  requests.set(name, request)
  return request
}

/** The same five keys as a refresh. */
export const OpenedSession = { ...SessionTokens, description: 'The first tokens of the new session.' }

export const UserParams = Type.Object({ userId: UserIdParam })

export const SessionParams = Type.Object({ userId: UserIdParam, sid: SessionId })

export const Time = (description: string): TString => Type.String({ format: 'date-time', description })

export const SessionList = Type.Object({
  sessions: Type.Array(Type.Object({
    sid: SessionId,
    label: Type.Union([Type.String(), Type.Null()], { description: 'As given when the session was opened' }),
    generation: Type.Integer({ minimum: 0, description: '1 when the session is opened; each refresh adds 1. 0 for an imported session before its first refresh' }),
    createdAt: Time('When the session was opened'),
    lastUsedAt: Time('When the session was last refreshed'),
    expiresAt: Time('When the session ends unless it is refreshed')
  }))
}, {
  title: 'SessionList',
  description: 'The live sessions.',
  examples: [{
    sessions: [{
      sid: 'AAAAAAAAAAAAAAAAAAAAAA',
      label: 'Pixel 9',
      generation: 2,
      createdAt: '2026-11-23T09:00:00.000Z',
      lastUsedAt: '2026-11-23T09:15:00.000Z',
      expiresAt: '2026-12-23T09:15:00.000Z'
    }]
  }]
})

/** The session to keep when all others end. An empty value is refused: it would end every session. */
export const EndQuery = Type.Object({ except: Type.Optional({ ...SessionId, description: 'The session that lives on' }) })

/** Requires at least one of the fields. */
export const ProfilePatch = Type.Object(
  { email: Type.Optional(Email), role: Type.Optional(Role), userClaims: Type.Optional(UserClaims) },
  {
    title: 'ProfilePatch',
    anyOf: [{ required: ['email'] }, { required: ['role'] }, { required: ['userClaims'] }],
    examples: [{ role: 'ADMIN', userClaims: { plan: 'gold' } }]
  }
)
