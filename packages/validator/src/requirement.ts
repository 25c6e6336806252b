import type { ValidSession } from './session.ts'

/** A value of a claim that a route can demand. */
export type ClaimValue = string | number | boolean

/** The requirement of a route; without a field, any live session meets it. */
export interface SessionRequirement {
  /** The user's role must be one of these. */
  roles?: readonly string[] | undefined
  /**
   * The session must have each of these claims, with the given value or one of several. A claim that is a list matches by any
   * element, `scope` by any word.
   */
  claims?: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>> | undefined
  /** Maximum seconds since the user authenticated, which the claim `auth_time` says. */
  maxAge?: number | undefined
}

/** An answer to a session that does not meet a requirement. */
export interface Refusal {
  status: 401 | 403
  /** `WWW-Authenticate` */
  challenge: string
}

/** Seconds that the login service's clock may be ahead. This also refuses an `auth_time` in milliseconds, which would never grow old. */
const CLOCK_DIFFERENCE = 60

const insufficientScope: Refusal = { status: 403, challenge: 'Bearer error="insufficient_scope"' }

/**
 * Checks a requirement once, and returns the function that checks sessions. A role or claim that does not fit gives a 403 (RFC 6750 section
 * 3.1). An `acr` that does not fit, or an old authentication, gives a 401: the user can authenticate again (RFC 9470 section 3).
 * @throws TypeError, because a mistyped requirement must not grant access.
 */
export function createCheck (requirement: SessionRequirement = {}): (session: ValidSession) => Refusal | undefined {
  const { roles, claims: { acr, ...claims } = {}, maxAge } = checked(requirement)
  const allowed = roles && new Set(roles)
  const demanded = Object.entries(claims).map(([name, values]) => [name, new Set<unknown>([values].flat())] as const)
  const acrValues = acr === undefined ? undefined : [acr].flat()
  const stepUp: Refusal = {
    status: 401,
    challenge: [
      'Bearer error="insufficient_user_authentication"',
      ...acrValues === undefined ? [] : [`acr_values="${acrValues.join(' ')}"`],
      ...maxAge === undefined ? [] : [`max_age="${maxAge}"`]
    ].join(', ')
  }
  return ({ role, claims }) => {
    if (allowed !== undefined && !allowed.has(role)) return insufficientScope
    if (!demanded.every(([name, values]) => valuesOf(name, claims[name]).some(value => values.has(value)))) return insufficientScope
    if (acrValues !== undefined && !acrValues.includes(claims['acr'] as ClaimValue)) return stepUp
    return maxAge !== undefined && !isRecent(claims['auth_time'], maxAge) ? stepUp : undefined
  }
}

/** The words of `scope` are separated by spaces (RFC 8693 section 4.2). */
function valuesOf (name: string, claim: unknown): unknown[] {
  return name === 'scope' && typeof claim === 'string' ? claim.split(' ') : [claim].flat()
}

function isRecent (authTime: unknown, maxAge: number): boolean {
  const age = typeof authTime === 'number' ? Date.now() / 1000 - authTime : Infinity
  return age <= maxAge && age >= -CLOCK_DIFFERENCE
}

function checked (requirement: SessionRequirement): SessionRequirement {
  if (!isPlain(requirement) || Object.keys(requirement).some(name => !['roles', 'claims', 'maxAge'].includes(name))) {
    throw new TypeError('requireSession takes nothing or { roles, claims, maxAge }')
  }
  const { roles, claims, maxAge } = requirement
  if (roles !== undefined && !isList(roles, role => typeof role === 'string' && role !== '')) throw new TypeError('roles must be a list of one role or more')
  if (claims !== undefined && !(isPlain(claims) && isList(Object.values(claims), value => isList([value].flat(), isClaimValue)))) {
    throw new TypeError('claims must have one name or more, each with a text, number or boolean, or a list of them')
  }
  // Only characters that need no escape in the quoted string of a header.
  if (claims?.['acr'] !== undefined && ![claims['acr']].flat().every(value => /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(String(value)))) {
    throw new TypeError('acr of claims must be printable ASCII without spaces, quotes or backslashes')
  }
  if (maxAge !== undefined && !(Number.isSafeInteger(maxAge) && maxAge >= 0)) throw new TypeError('maxAge must be whole seconds from 0')
  return requirement
}

function isPlain (value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isList (value: unknown, isElement: (element: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isElement)
}

function isClaimValue (value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value)
}
