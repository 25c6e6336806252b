import { hashDevice, hashLegacyToken, importedSessionId } from '#src/redis/records'
import type { ImportLine, SessionState } from '#src/schemas/import'
import type { ImportedSession } from '#src/sessions/imports'
import type { UserId } from '#src/tokens/user-id'

/** The work of a line. */
export interface Task {
  /** The name of the marker. */
  name: string
  userId: UserId
  /** When the line expires, if it says so. */
  expiresAt: number | undefined
  /** Absent if the session has a line of its own. */
  session?: ImportedSession
}

/** The task of a line that has passed the check. */
export function toTask (line: ImportLine): Task {
  const { deviceId, legacyToken, legacyTokenHash, session, sid, userId, ...fields } = line
  const createdAt = floor(line.createdAt)
  const expiresAt = floor(line.expiresAt)
  if (session !== undefined) {
    return { name: session.sid, userId, expiresAt: floor(session.expiresAt), session: { userId, ...fields, ...toSession(session) } }
  }
  const name = legacyToken === undefined ? normalHash(legacyTokenHash!) : hashLegacyToken(legacyToken)
  if (sid !== undefined) return { name, userId, expiresAt }
  const device = deviceId === undefined ? '-' : hashDevice(deviceId)
  return {
    name, userId, expiresAt, session: { userId, ...fields, createdAt, expiresAt, sid: importedSessionId(name), gen: 0, device, attempt: '-' }
  }
}

function toSession ({ sid, generation, createdAt, lastUsedAt, expiresAt, device = '-', idempotencyKey = '-', idleTtl, absoluteTtl }: SessionState) {
  return {
    sid,
    gen: generation,
    createdAt: floor(createdAt),
    rotatedAt: floor(lastUsedAt),
    expiresAt: floor(expiresAt),
    device,
    attempt: idempotencyKey,
    idleTtl,
    absoluteTtl
  }
}

function floor (time: number | undefined): number | undefined {
  return time === undefined ? undefined : Math.floor(time)
}

/** A hash in base64url, from either spelling. */
function normalHash (text: string): string {
  return Buffer.from(text, text.length === 64 ? 'hex' : 'base64url').toString('base64url')
}
