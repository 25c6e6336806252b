import { Counter, Gauge, Registry } from 'prom-client'
import { isReady, type Health } from '#src/health'
import type { ScriptObserver } from '#src/sessions/runner'
import type { Listener } from '#src/http/listeners'
import { definitions, type LogoutOutcome, type RefreshOutcome } from './definitions.ts'
import { createCounts, createHistogram, type Histogram } from './instruments.ts'
import { registerProcessMetrics } from './process.ts'
import { createScriptObserver } from './scripts.ts'

/** Counters of both listeners of a process, and the registry that renders them. */
export interface Metrics {
  registry: Registry
  /** The code that decides the outcome of a refresh adds 1. */
  refreshes: Record<RefreshOutcome, number>
  /** The same for log-outs by clients. */
  logouts: Record<LogoutOutcome, number>
  requests: Histogram
  unmatched: Record<Listener, number>
  /** Durations of the calls of Redis. */
  scripts: Histogram
  /** Passed to the store of each listener. */
  observeScript: ScriptObserver
  /** ioredis client of each listener; its status is `ready` while it can be used. */
  connections: Map<Listener, { readonly status: string }>
  reconnects: Record<Listener, number>
  /** Number of other replicas' signing keys that this replica does not know. */
  unknownKeys: number
  /** For each listener: how far Redis's clock is ahead, in seconds; `undefined` while unknown. */
  clocks: Map<Listener, () => number | undefined>
}

/** `health` and `log` belong to the process and are read at every scrape. */
export function createMetrics (health: Health, log: { readonly dropped: number } = { dropped: 0 }): Metrics {
  const registry = new Registry()
  const { refreshes, logouts, requests, unmatched, connected, reconnects, clock, ready, unknownKeys, logDropped } = definitions
  const scripts = createHistogram(registry, definitions.scripts)
  const metrics: Metrics = {
    registry,
    refreshes: createCounts(registry, refreshes),
    logouts: createCounts(registry, logouts),
    requests: createHistogram(registry, requests),
    unmatched: createCounts(registry, unmatched),
    scripts,
    observeScript: createScriptObserver(registry, scripts),
    connections: new Map(),
    reconnects: createCounts(registry, reconnects),
    unknownKeys: 0,
    clocks: new Map()
  }
  registry.registerMetric(new Gauge({
    ...connected,
    registers: [],
    collect () { for (const [listener, { status }] of metrics.connections) this.set({ surface: listener }, Number(status === 'ready')) }
  }))
  registry.registerMetric(new Gauge({
    ...clock,
    registers: [],
    collect () {
      this.reset()
      for (const [listener, takeAhead] of metrics.clocks) {
        const ahead = takeAhead()
        if (ahead !== undefined) this.set({ surface: listener }, ahead)
      }
    }
  }))
  registry.registerMetric(new Gauge({ ...ready, registers: [], async collect () { this.set(Number(await isReady(health))) } }))
  registry.registerMetric(new Gauge({ ...unknownKeys, registers: [], collect () { this.set(metrics.unknownKeys) } }))
  registry.registerMetric(new Counter({
    ...logDropped,
    registers: [],
    collect () {
      this.reset()
      this.inc(log.dropped)
    }
  }))
  registerProcessMetrics(registry)
  return metrics
}
