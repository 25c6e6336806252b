import type { SessionSummary } from './replies.ts'

/** A session as the internal API and the command line list it; times in ISO 8601. */
export interface ListedSession {
  sid: string
  label: string | null
  generation: number
  createdAt: string
  lastUsedAt: string
  expiresAt: string
}

export function toListed ({ sid, label, gen, createdAt, rotatedAt, expiresAt }: SessionSummary): ListedSession {
  return { sid, label, generation: gen, createdAt: iso(createdAt), lastUsedAt: iso(rotatedAt), expiresAt: iso(expiresAt) }
}

/** ISO 8601 of Unix seconds. */
export function iso (seconds: number): string {
  return new Date(Math.round(seconds * 1000)).toISOString()
}
