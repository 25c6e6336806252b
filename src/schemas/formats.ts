/**
 * String formats that a JSON Schema pattern can't express, for Ajv.
 * Lengths in bytes, and numbers in text.
 */
export const formats: Record<string, (value: string) => boolean> = {
  'user-id': value => /^[1-9]\d{0,15}$/.test(value) && Number.isSafeInteger(Number(value)),
  label: value => Buffer.byteLength(value) <= 48 && /\S/.test(value) && !/[\p{Cc}\p{Cs}]/u.test(value)
}
