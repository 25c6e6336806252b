/** So many requests in so many seconds. */
export interface Rate {
  max: number
  seconds: number
}

/** What a rate looks like in the configuration: `30/60`, or `off`. */
export const RATE_PATTERN = '^(off|[1-9]\\d{0,5}/[1-9]\\d{0,4})$'

/** A rate of the configuration, `undefined` when it is off. */
export function parseRate (text: string): Rate | undefined {
  if (text === 'off') return undefined
  const [max, seconds] = text.split('/')
  return { max: Number(max), seconds: Number(seconds) }
}
