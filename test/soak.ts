/**
 * `npm test` runs random tests with fixed seeds, so that a failure is the change's and not the day's; `npm run test:soak`
 * runs the same tests longer, with new seeds, named in the output to be run again: `SOAK_SEED=<seed> npm run test:soak`.
 */

/** Whether this is the long run. */
export const isSoak = process.env.SOAK === '1'

/** How many new seeds a long run tries. */
const SOAK_SEEDS = Number(process.env.SOAK_SEEDS ?? 10)

/** The seeds of a random test: those given, or new ones in the long run. */
export function seeds (fixed: number[]): number[] {
  if (!isSoak) return fixed
  const { SOAK_SEED } = process.env
  return SOAK_SEED === undefined ? Array.from({ length: SOAK_SEEDS }, () => Math.floor(Math.random() * 2 ** 31)) : [Number(SOAK_SEED)]
}
