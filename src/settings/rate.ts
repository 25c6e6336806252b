/** At most `max` requests in `seconds` seconds. */
export interface Rate {
  max: number
  seconds: number
}

/** Format of a rate in the configuration: `30/60`, or `off`. */
export const RATE_PATTERN = '^(off|[1-9]\\d{0,5}/[1-9]\\d{0,4})$'

/** Parses a rate of the configuration; `undefined` when it is `off`. */
export function parseRate (text: string): Rate | undefined {
  if (text === 'off') return undefined
  const [max, seconds] = text.split('/')
  return { max: Number(max), seconds: Number(seconds) }
}
