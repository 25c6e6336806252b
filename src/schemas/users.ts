import { type Static, type TNull, type TString, type TUnion, Type } from '@sinclair/typebox'
import { UserId } from './fields.ts'
import { SessionList, Time } from './sessions.ts'
import { iso, toListed } from '#src/sessions/listed'
import type { StoredUser } from '#src/sessions/replies'
import type { UserId as Id } from '#src/tokens/user-id'

/** The caller confirms the erasure with `?erase` or `?erase=true`: a call that should have ended sessions must not erase. */
export const EraseQuery = Type.Object({ erase: Type.String({ pattern: '^(true)?$', description: 'Empty, or `true`' }) })

const OrNull = (schema: TString): TUnion<[TString, TNull]> => Type.Union([schema, Type.Null()])

/** Everything that is stored about a user. The record is the whole: a field that this schema does not know is in it too. */
export const UserData = Type.Object({
  userId: UserId,
  email: OrNull(Type.String({ description: 'E-mail address; empty if the login service has given none' })),
  role: OrNull(Type.String({ description: 'Role; empty if the login service has given none' })),
  loggedOutAt: OrNull(Time('When the user last logged out everywhere')),
  profileChangedAt: OrNull(Time('When the profile last changed')),
  sessions: SessionList.properties.sessions,
  record: Type.Object({}, {
    additionalProperties: Type.String(),
    description: 'Every field of the record in Redis; docs/validating-over-redis.md describes them'
  })
}, {
  title: 'UserData',
  description: 'Everything that is stored about the user.',
  examples: [{
    userId: 1,
    email: 'guest@keygenqt.com',
    role: 'GUEST',
    loggedOutAt: null,
    profileChangedAt: '2026-11-23T09:10:00.250Z',
    sessions: SessionList.examples[0].sessions,
    record: {
      email: 'guest@keygenqt.com',
      role: 'GUEST',
      profileChangedAt: '1795425000.250',
      's:AAAAAAAAAAAAAAAAAAAAAA': '002:1795424400:1795425300:1798017300:ZxcE90E5InPHtuTi',
      'l:AAAAAAAAAAAAAAAAAAAAAA': 'Pixel 9'
    }
  }]
})

export function toUserData (userId: Id, { record, sessions }: StoredUser): Static<typeof UserData> {
  const { email = null, role = null, loggedOutAt, profileChangedAt } = record
  const times = { loggedOutAt: timeOf(loggedOutAt), profileChangedAt: timeOf(profileChangedAt) }
  return { userId, email, role, ...times, sessions: sessions.map(toListed), record }
}

/** Returns the time of a field in Unix seconds; `null` if it is absent or damaged. */
function timeOf (field: string | undefined): string | null {
  const seconds = Number.parseFloat(field ?? '')
  return Math.abs(seconds) < 1e12 ? iso(seconds) : null
}
