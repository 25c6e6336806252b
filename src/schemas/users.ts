import { Type } from '@sinclair/typebox'
import { Email, Role } from './fields.ts'

/** Requires at least one of the two fields. */
export const ProfilePatch = Type.Object(
  { email: Type.Optional(Email), role: Type.Optional(Role) },
  { title: 'ProfilePatch', anyOf: [{ required: ['email'] }, { required: ['role'] }], examples: [{ role: 'ADMIN' }] }
)
