import { Type, type Static } from '@sinclair/typebox'
import { hasOwnForm } from '#src/tokens/tokens'
import { SessionId, UserId } from './fields.ts'
import { openSessionRequest } from './sessions.ts'
import { compileSchema } from './validation.ts'

/** Until the year 2286: a time in milliseconds is refused. */
const Seconds = Type.Number({ minimum: 0, maximum: 9_999_999_999 })

/** The state of a session of this service, as `export` writes it. */
const State = Type.Object({
  sid: SessionId,
  generation: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  createdAt: Seconds,
  lastUsedAt: Seconds,
  expiresAt: Seconds,
  device: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{16}$' })),
  idempotencyKey: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{8}$' })),
  idleTtl: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_153_600_000 })),
  absoluteTtl: Type.Optional(Type.Integer({ minimum: 1, maximum: 3_153_600_000 }))
}, { additionalProperties: false })

export type SessionState = Static<typeof State>

type Lifetimes = Parameters<typeof openSessionRequest>[0]

/** A line for `import`: the fields of `POST /internal/sessions` without `authenticatedAt`, and a legacy token, its hash or a `session`. */
function lineSchema (config: Lifetimes) {
  const { authenticatedAt, ...fields } = openSessionRequest(config).properties
  return Type.Object({
    ...fields,
    userId: UserId,
    createdAt: Type.Optional(Seconds),
    expiresAt: Type.Optional(Seconds),
    legacyToken: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    /** SHA-256 of the token's bytes, base64url or hexadecimal. */
    legacyTokenHash: Type.Optional(Type.String({ pattern: '^([A-Za-z0-9_-]{43}|[0-9A-Fa-f]{64})$' })),
    session: Type.Optional(State),
    /** Only in exports: the session of the legacy token, which has a line of its own. */
    sid: Type.Optional(SessionId)
  }, { additionalProperties: false })
}

export type ImportLine = Static<ReturnType<typeof lineSchema>>

/** Fields of an opening that are part of `session` in a line of an export. */
const ofState = ['deviceId', 'createdAt', 'expiresAt', 'idleTtl', 'absoluteTtl', 'sid'] as const

/**
 * Returns a function that checks a parsed line, and returns the mistake as a sentence without a value of the line, or `undefined`. It
 * removes members that are null: the queries of databases write them for empty columns.
 */
export function createLineCheck (config: Lifetimes): (line: unknown) => string | undefined {
  const validate = compileSchema(lineSchema(config))
  return line => {
    if (typeof line !== 'object' || line === null || Array.isArray(line)) return 'it is no JSON object'
    for (const [name, value] of Object.entries(line)) if (value === null) Reflect.deleteProperty(line, name)
    if (!validate(line)) {
      const { instancePath, keyword, message } = validate.errors![0]!
      if (keyword === 'additionalProperties') return `${instancePath.slice(1) || 'it'} has an unknown member`
      return `${instancePath.slice(1) || 'it'} ${message}`
    }
    const { legacyToken, legacyTokenHash, session } = line as ImportLine
    if ([legacyToken, legacyTokenHash, session].filter(value => value !== undefined).length !== 1) {
      return 'it must have one of legacyToken, legacyTokenHash and session'
    }
    if (legacyToken !== undefined && hasOwnForm(legacyToken)) return 'legacyToken is a token of this service: export moves its session'
    if (Object.hasOwn(line, 'sid') && !Object.hasOwn(line, 'expiresAt')) return 'expiresAt must be present beside sid'
    const extra = session === undefined ? undefined : ofState.find(name => Object.hasOwn(line, name))
    return extra === undefined ? undefined : `${extra} must be absent beside session`
  }
}
