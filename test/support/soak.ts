/**
 * `npm run test:proofs` runs random tests with fixed seeds, so that only a change makes them fail. `SOAK=1` runs them longer, with
 * new seeds. The output names each seed, to run it again: `SOAK=1 SOAK_SEED=<seed> npm run test:proofs`.
 */

export const isSoak = process.env.SOAK === '1'

/** How many new seeds a long run tries. */
const SOAK_SEEDS = Number(process.env.SOAK_SEEDS ?? 10)

/** The seeds of a random test: those given, or new ones in the long run. */
export function seeds (fixed: number[]): number[] {
  if (!isSoak) return fixed
  const { SOAK_SEED } = process.env
  return SOAK_SEED === undefined ? Array.from({ length: SOAK_SEEDS }, () => Math.floor(Math.random() * 2 ** 31)) : [Number(SOAK_SEED)]
}
