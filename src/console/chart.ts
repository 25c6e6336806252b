import { html, type Html } from './html.ts'

const HEIGHT = 40
const MINUTES = 60

/**
 * A chart of bars, one for each minute of the last hour, the latest at the right. `summary` is its text for screen readers, `describe` the
 * hint of a bar.
 */
export function chart (values: Array<number | undefined>, summary: string, describe: (i: number) => string): Html {
  const highest = Math.max(...values.map(value => value ?? 0), Number.MIN_VALUE)
  const first = MINUTES - values.length
  const bars = values.map((value, i) => {
    const height = value === undefined || value === 0 ? 0 : Math.max(value / highest * HEIGHT, 1)
    return html`<rect x="${(first + i) * 4}" y="${(HEIGHT - height).toFixed(2)}" width="3" height="${height.toFixed(2)}"><title>${describe(i)}</title></rect>`
  })
  return html`<svg viewBox="0 0 ${MINUTES * 4} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${summary}">${bars}</svg>`
}
