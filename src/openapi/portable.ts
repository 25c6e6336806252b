import { DeviceId, Email } from '#src/schemas/fields'
import { reservedClaims } from '#src/tokens/custom-claims'
import { TEXT_ID } from '#src/tokens/user-id'

/**
 * Replaces the rules that need our own validator (Unicode properties, lengths in bytes) by rules for any JSON Schema validator. The
 * replacements accept everything that our rules accept, and a little more; the descriptions state the rest.
 */
const patterns: Record<string, string> = {
  [DeviceId.pattern!]: '\\S',
  [Email.pattern!]: '^[^\\s@]+@[^\\s@]+$'
}

const formats: Record<string, object> = {
  'user-id': { pattern: `^[1-9][0-9]{0,15}$|${TEXT_ID}` },
  label: { minLength: 1, maxLength: 48, pattern: '\\S' }
}

/** Copies a schema, or any value that contains schemas, with portable rules only. */
export function toPortable<T> (node: T): T {
  if (typeof node !== 'object' || node === null) return node
  if (Array.isArray(node)) return node.map(toPortable) as T
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, toPortable(value)]))
  const { pattern, format, isClaims, ...rest } = copy
  if (isClaims === true) return { ...rest, propertyNames: { not: { enum: reservedClaims } } } as T
  if (typeof format === 'string' && format in formats) return { ...rest, ...formats[format] } as T
  if (typeof pattern === 'string' && pattern in patterns) return { ...copy, pattern: patterns[pattern] } as T
  return copy as T
}
