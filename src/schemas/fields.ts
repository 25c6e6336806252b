import { Type, type TInteger } from '@sinclair/typebox'
import { claimsMistake, MAX_CLAIMS_BYTES, MAX_CLAIMS_DEPTH, type Claims } from '#src/tokens/custom-claims'
import { parseUserId, TEXT_ID, type UserId as Id } from '#src/tokens/user-id'

/**
 * Field rules that several bodies share. `formats` below checks each `format`.
 * Nothing is coerced: a number in a string is refused.
 */

/** The limits hold for numbers, the pattern for texts; one schema, because answers with `anyOf` are slow to write. */
export const UserId = Type.Unsafe<Id>({
  type: ['integer', 'string'],
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  pattern: TEXT_ID,
  description: 'The user\'s id: a positive integer, or a text that is not digits alone. Every answer, token and event has it as it was given'
})

/** A user's id in a path, where all values are strings. */
export const UserIdParam = Type.String({
  format: 'user-id', description: 'The user\'s id: a decimal number from 1 to 9007199254740991 is an integer, anything else a text', examples: ['1']
})

/** 128 random bits, base64url. */
export const SessionId = Type.String({
  pattern: '^[A-Za-z0-9_-]{22}$', description: 'The session\'s id, `sid` of its tokens', examples: ['AAAAAAAAAAAAAAAAAAAAAA']
})

/** Names one installation of a client: 1 to 255 characters, not blank, well-formed Unicode (a lone surrogate has no UTF-8 form to hash). */
export const DeviceId = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^(?=[^]*\\S)\\P{Cs}+$',
  description: 'Identifies one installation of a client: any text that is not blank'
})

/**
 * The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): a string of Structured Fields (RFC 9651, section 3.3.3)
 * or a bare token.
 */
export const IdempotencyKey = Type.String({
  pattern: '^(?:"(?:[ !#-\\[\\]-~]|\\\\["\\\\]){1,255}"|[A-Za-z0-9!#$%&\'*+.^_`|~:/=-]{1,255})$',
  description: 'A random text of 1 to 255 ASCII characters in double quotes; letters, digits and most marks also without quotes. A client makes a ' +
    'new one for each token, stores both before it sends them, and repeats both until it has an answer: however long that takes, a repeated ' +
    'request gets the same refresh token',
  examples: ['"8e03978e-40d5-43dd-bc93-6894a57f9324"']
})

/** An address with an @, without blanks or invisible characters; at most 254 characters, the longest that fits an SMTP path (RFC 5321). */
export const Email = Type.String({ maxLength: 254, pattern: '^[^\\s@\\p{C}]+@[^\\s@\\p{C}]+$', description: 'E-mail address' })

export const Role = Type.String({ pattern: '^[A-Z][A-Z0-9_]{0,31}$', description: 'The user\'s role, as your services name it' })

/** A name for people ("Pixel 9"), not blank, without control characters: at most 48 bytes, so that it fits a listpack entry of Redis. */
export const Label = Type.String({ format: 'label', description: 'A name for people: at most 48 bytes of UTF-8, not blank, no control characters' })

/** A lifetime of one session: whole seconds, at most the configured ones, `max`. */
export const Lifetime = (max: number, description: string): TInteger => Type.Integer({ minimum: 1, maximum: max, description })

/** Unix seconds, not rounded: a whole second means its start. A time too far ahead of Redis's clock is refused. */
export const AuthenticatedAt = Type.Number({
  minimum: 0,
  description: 'When the log-in began, before the login service read the user: Unix seconds, with a fraction (`Date.now() / 1000`). Recommended: ' +
    'a log-out everywhere or a change of the profile during the log-in is then not undone. At most a minute in the future'
})

const claims = (description: string) => Type.Unsafe<Claims>({ type: 'object', isClaims: true, description })

const limits = `At most ${MAX_CLAIMS_BYTES} bytes of JSON, ${MAX_CLAIMS_DEPTH} levels deep, without the names that the service sets itself`

export const UserClaims = claims(`Claims of the user, for the access tokens of all its sessions. Replaces all earlier ones. ${limits}`)

export const SessionClaims = claims(`Claims of this session, for its access tokens, such as auth_time, amr and acr. ${limits}`)

/** An OAuth client (RFC 6749 section 2.2), without blanks: at most 64 characters, so that it fits a listpack entry of Redis. */
export const ClientId = Type.String({ minLength: 1, maxLength: 64, pattern: '^[!-~]+$', description: 'The OAuth client that the session belongs to: ASCII characters without blanks' })

/** The thumbprint of a public key (RFC 7638, RFC 9449 section 6.1). */
export const Thumbprint = Type.String({
  pattern: '^[A-Za-z0-9_-]{43}$', description: 'SHA-256 thumbprint of the JWK whose private key every refresh must prove (DPoP)'
})

/** The keyword of Ajv that checks claims: JSON Schema can't express their limits. */
export const claimsKeyword = {
  keyword: 'isClaims',
  type: 'object' as const,
  schema: false,
  validate: function check (value: object): boolean {
    const message = claimsMistake(value)
    Object.assign(check, { errors: message === undefined ? null : [{ message }] })
    return message === undefined
  }
}

/**
 * String formats for Ajv that a JSON Schema pattern can't express:
 * lengths in bytes, and numbers in strings.
 */
export const formats: Record<string, (value: string) => boolean> = {
  'user-id': value => parseUserId(value) !== undefined,
  label: value => Buffer.byteLength(value) <= 48 && /\S/.test(value) && !/[\p{Cc}\p{Cs}]/u.test(value)
}
