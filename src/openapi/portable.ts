import { DeviceId, Email } from '#src/schemas/fields'

/**
 * Rules that take our own validator (Unicode properties, lengths in bytes), as any JSON Schema validator understands
 * them. These let everything pass that ours does, and a little more: the descriptions say the rest.
 */
const patterns: Record<string, string> = {
  [DeviceId.pattern!]: '\\S',
  [Email.pattern!]: '^[^\\s@]+@[^\\s@]+$'
}

const formats: Record<string, object> = {
  'user-id': { pattern: '^[1-9][0-9]{0,15}$' },
  label: { minLength: 1, maxLength: 48, pattern: '\\S' }
}

/** A copy of a schema, or of anything that holds schemas, in portable rules alone. */
export function toPortable<T> (node: T): T {
  if (typeof node !== 'object' || node === null) return node
  if (Array.isArray(node)) return node.map(toPortable) as T
  const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, toPortable(value)]))
  const { pattern, format, ...rest } = copy
  if (typeof format === 'string' && format in formats) return { ...rest, ...formats[format] } as T
  if (typeof pattern === 'string' && pattern in patterns) return { ...copy, pattern: patterns[pattern] } as T
  return copy as T
}
