/**
 * String formats for Ajv that a JSON Schema pattern can't express:
 * lengths in bytes, and numbers in strings.
 */
export const formats: Record<string, (value: string) => boolean> = {
  'user-id': value => /^[1-9]\d{0,15}$/.test(value) && Number.isSafeInteger(Number(value)),
  label: value => Buffer.byteLength(value) <= 48 && /\S/.test(value) && !/[\p{Cc}\p{Cs}]/u.test(value)
}
