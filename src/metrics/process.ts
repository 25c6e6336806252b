import { collectDefaultMetrics, Counter, Gauge, type Registry } from 'prom-client'
import { version } from '#src/version'
import { definitions } from './definitions.ts'

/** Default metrics to remove: they walk over every open handle, such as each socket, at a scrape; some gauges end in `_total`. */
const unwanted = ['resources', 'handles', 'requests'].flatMap(what => [`nodejs_active_${what}`, `nodejs_active_${what}_total`])

/**
 * Registers metrics of the process: CPU, memory, garbage collection, event loop, build. prom-client's metrics keep their
 * names, which dashboards for Node use. Sampling the event loop's delay every 10 ms takes some 4 ms of CPU a second.
 */
export function registerProcessMetrics (registry: Registry): void {
  collectDefaultMetrics({ register: registry })
  for (const name of unwanted) registry.removeSingleMetric(name)

  const { eventLoop, build } = definitions
  registry.registerMetric(new Counter({
    ...eventLoop,
    registers: [],
    collect () {
      this.reset()
      this.inc(performance.eventLoopUtilization().active / 1000)
    }
  }))
  const built = new Gauge({ ...build, registers: [] })
  built.set({ version, node_version: process.version }, 1)
  registry.registerMetric(built)
}
