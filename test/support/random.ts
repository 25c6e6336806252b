/** Reproducible random choices: the same seed gives the same choices. */

/** Returns numbers from 0 to 1, the same for the same seed (Mulberry32). */
export type Random = () => number

export function createRandom (seed: number): Random {
  let state = seed
  return () => {
    state = state + 0x6D2B79F5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32
  }
}

/** A whole number from `from` to `to`, inclusive. */
export const between = (random: Random, from: number, to: number): number => from + Math.floor(random() * (to - from + 1))

export const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random() * values.length)]!
