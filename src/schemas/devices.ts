import { Type, type Static } from '@sinclair/typebox'
import { iso } from '#src/sessions/listed'
import type { SessionSummary } from '#src/sessions/replies'
import { SessionId } from './fields.ts'
import { Time } from './sessions.ts'

const Device = Type.Object({
  sid: SessionId,
  label: Type.Union([Type.String(), Type.Null()], { description: 'As given when the session was opened' }),
  createdAt: Time('When the device logged in'),
  lastUsedAt: Time('When its session was last refreshed'),
  expiresAt: Time('When its session ends unless it is refreshed'),
  current: Type.Boolean({ description: 'Whether this is the session of the request' })
})

export const DeviceList = Type.Object({ sessions: Type.Array(Device) }, {
  title: 'DeviceList',
  description: 'The live sessions of the user, the last used first.',
  examples: [{
    sessions: [{
      sid: 'AAAAAAAAAAAAAAAAAAAAAA',
      label: 'Pixel 9',
      createdAt: '2026-11-23T09:00:00.000Z',
      lastUsedAt: '2026-11-23T09:15:00.000Z',
      expiresAt: '2026-12-23T09:15:00.000Z',
      current: true
    }]
  }]
})

export const DeviceParams = Type.Object({ sid: SessionId })

/** A session as its user sees it; `sid` is the session of the request. */
export function toDevice (session: SessionSummary, sid: string): Static<typeof Device> {
  const { label, createdAt, rotatedAt, expiresAt } = session
  return {
    sid: session.sid,
    label,
    createdAt: iso(createdAt),
    lastUsedAt: iso(rotatedAt),
    expiresAt: iso(expiresAt),
    current: session.sid === sid
  }
}
