import { Counter, type Registry } from 'prom-client'

/**
 * A counter as a plain object, with a number for every value of its single label. All values are rendered from the start,
 * at 0, so that Prometheus sees the first event as a rise.
 */
export function createCounts<Value extends string> (
  registry: Registry, definition: { name: string, help: string, labelNames: readonly [string], values: readonly Value[] }
): Record<Value, number> {
  const { name, help, labelNames: [label], values } = definition
  const counts = Object.fromEntries(values.map(value => [value, 0])) as Record<Value, number>
  registry.registerMetric(new Counter({
    name,
    help,
    labelNames: [label],
    registers: [],
    collect () {
      this.reset()
      for (const value of values) this.inc({ [label]: value }, counts[value])
    }
  }))
  return counts
}
