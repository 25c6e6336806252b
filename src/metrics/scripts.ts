import { Counter, type Registry } from 'prom-client'
import { countEnds, isOpened } from '#src/sessions/replies'
import type { ScriptObserver, ScriptResult } from '#src/sessions/runner'
import type { ScriptName } from '#src/sessions/scripts'
import { definitions } from './definitions.ts'
import { addSeries, createCounts, createHistogram, observe, type Series } from './instruments.ts'

/**
 * Observes a store's calls: their durations, and the sessions they open and end. It runs on every call, so it costs two
 * look-ups and an addition. The series of a script and a result appears with the first such call.
 */
export function createScriptObserver (registry: Registry): ScriptObserver {
  const { opened, ended, scripts } = definitions
  const openedTotal = new Counter({ ...opened, registers: [registry] })
  const endedTotals = createCounts(registry, ended)
  const histogram = createHistogram(registry, scripts)
  const all: Partial<Record<ScriptName, Partial<Record<ScriptResult, Series>>>> = {}
  return (script, seconds, result, reply) => {
    const byResult = all[script] ??= {}
    observe(byResult[result] ??= addSeries(histogram, { script, result }), seconds)
    if (reply === undefined) return
    if (isOpened(reply)) openedTotal.inc()
    countEnds(endedTotals, script, reply)
  }
}
