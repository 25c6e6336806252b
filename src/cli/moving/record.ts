import type { UserId } from '#src/tokens/user-id'

/** `s:<sid>`: gen, createdAt, rotatedAt, expiresAt, device, and what may follow (docs/validating-over-redis.md). */
const SESSION = /^(\d+):(\d+):(\d+):(\d+):([^:]*)(?::([^:!]*)!?(?::([^:]*):([^:]*))?)?$/

/** The lines of a user's live sessions, as `import` takes them. `unreadable` counts damaged sessions. */
export function toLines (userId: UserId, record: Record<string, string> | null, now: number): { sessions: object[], unreadable: number } {
  const sessions: object[] = []
  let unreadable = 0
  for (const [field, value] of Object.entries(record ?? {})) {
    if (!field.startsWith('s:')) continue
    const sid = field.slice(2)
    const parts = SESSION.exec(value)
    if (parts !== null && Number(parts[4]) <= now) continue
    try {
      sessions.push(withoutEmpty({
        userId,
        email: record!.email,
        role: record!.role,
        label: record![`l:${sid}`],
        userClaims: parse(record!.c),
        sessionClaims: parse(record![`c:${sid}`]),
        clientId: record![`o:${sid}`],
        jkt: record![`k:${sid}`],
        session: toState(sid, parts!)
      }))
    } catch {
      unreadable++
    }
  }
  return { sessions, unreadable }
}

function toState (sid: string, [, gen, createdAt, rotatedAt, expiresAt, device, key, idle, absolute]: RegExpExecArray): object {
  const given = (text: string | undefined): string | undefined => text === '-' ? undefined : text
  return withoutEmpty({
    sid,
    generation: Number(gen),
    createdAt: Number(createdAt),
    lastUsedAt: Number(rotatedAt),
    expiresAt: Number(expiresAt),
    device: given(device),
    idempotencyKey: given(key),
    idleTtl: Number(given(idle)) || undefined,
    absoluteTtl: Number(given(absolute)) || undefined
  })
}

function parse (claims: string | undefined): unknown {
  return claims === undefined || claims === '' ? undefined : JSON.parse(claims)
}

function withoutEmpty (object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== ''))
}
