import { collectDefaultMetrics, Counter, Gauge, type Registry } from 'prom-client'
import { info } from '#src/openapi/about'
import { definitions } from './definitions.ts'

/** They walk over every open handle at a scrape, a socket each, and end in `_total` though they are gauges. */
const unwanted = ['resources', 'handles', 'requests'].flatMap(what => [`nodejs_active_${what}`, `nodejs_active_${what}_total`])

/**
 * The process itself: CPU, memory, garbage collection, event loop, build. Those of prom-client keep their names, which
 * dashboards for Node know. The delay of the event loop is sampled every 10 ms, some 4 ms of CPU a second.
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
  built.set({ version: info.version, node_version: process.version }, 1)
  registry.registerMetric(built)
}
