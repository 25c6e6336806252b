/** Grafana's units as far as the dashboard has them: how a value is written, and in steps of what. */
const scales: Record<string, Array<[factor: number, suffix: string]>> = {
  s: [[1e-6, ' µs'], [1e-3, ' ms'], [1, ' s']],
  percentunit: [[0.01, ' %']],
  bytes: [[1, ' B'], [2 ** 10, ' KiB'], [2 ** 20, ' MiB'], [2 ** 30, ' GiB']],
  reqps: [[1, ' /s']],
  cps: [[1, ' /s']],
  short: [[1, '']]
}

/** A value with its unit, three digits at the most after the point's place allows. */
export function format (value: number, unit: string): string {
  const [factor, suffix] = scaleOf(value, unit)
  return `${Number((value / factor).toPrecision(3))}${suffix}`
}

/** Round numbers from 0 to the first that is not below `max`, which is the top. */
export function ticksTo (max: number, unit: string): { ticks: number[], top: number } {
  // Nothing at all is drawn upon a scale of one.
  const highest = max === 0 ? 1 : max
  const [factor] = scaleOf(highest, unit)
  const rough = highest / factor / 4
  const magnitude = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 2.5, 5, 10].find(step => step * magnitude >= rough)! * magnitude * factor
  const count = Math.ceil(highest / step - 1e-9)
  return { ticks: Array.from({ length: count + 1 }, (_, i) => i * step), top: count * step }
}

/** The largest scale that the value reaches. */
function scaleOf (value: number, unit: string): [factor: number, suffix: string] {
  const scale = scales[unit]!
  return scale.findLast(([factor]) => Math.abs(value) >= factor) ?? scale[0]!
}
