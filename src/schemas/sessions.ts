import { Type } from '@sinclair/typebox'
import { DeviceId, Email, Label, Role, SessionId, UserId, UserIdParam } from './fields.ts'

export const OpenSessionRequest = Type.Object({
  userId: UserId,
  email: Email,
  role: Role,
  deviceId: DeviceId,
  label: Type.Optional(Label)
})

export const UserParams = Type.Object({ userId: UserIdParam })

export const SessionParams = Type.Object({ userId: UserIdParam, sid: SessionId })

const Time = Type.String({ format: 'date-time' })

export const SessionList = Type.Object({
  sessions: Type.Array(Type.Object({
    sid: SessionId,
    label: Type.Union([Type.String(), Type.Null()]),
    generation: Type.Integer({ minimum: 1 }),
    createdAt: Time,
    lastUsedAt: Time,
    expiresAt: Time
  }))
})
