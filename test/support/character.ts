import fc from 'fast-check'

const isCharacter = (code: number): boolean => code < 0xd800 || code > 0xdfff

/** Any character of Unicode, for `fc.string({ unit: character })`. The unit `binary` of fast-check takes a second to build its tables. */
export const character = fc.integer({ min: 0, max: 0x10ffff }).filter(isCharacter).map(code => String.fromCodePoint(code))
