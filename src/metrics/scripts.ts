import { Counter, type Registry } from 'prom-client'
import { eachEnd, isOpened, type EndObserver } from '#src/sessions/replies'
import type { ScriptObserver, ScriptResult } from '#src/sessions/runner'
import type { ScriptName } from '#src/sessions/scripts'
import { definitions } from './definitions.ts'
import { addSeries, createCounts, observe, type Histogram, type Series } from './instruments.ts'

/**
 * Observes a store's calls: their durations, and the sessions they open and end. A refresh that shared a command with others
 * counts as one call, of the command's duration. The series of a script and a result appears with the first such call.
 */
export function createScriptObserver (registry: Registry, histogram: Histogram): ScriptObserver {
  const { opened, ended } = definitions
  const openedTotal = new Counter({ ...opened, registers: [registry] })
  const endedTotals = createCounts(registry, ended)
  const all: Partial<Record<ScriptName, Partial<Record<ScriptResult, Series>>>> = {}
  const countEnd: EndObserver = reason => { endedTotals[reason]++ }
  return (command, seconds, result, reply) => {
    const { script, keys } = command
    const byResult = all[script] ??= {}
    observe(byResult[result] ??= addSeries(histogram, { script, result }), seconds, keys.length)
    if (reply === undefined) return
    if (isOpened(command, reply)) openedTotal.inc()
    eachEnd(command, reply, countEnd)
  }
}
