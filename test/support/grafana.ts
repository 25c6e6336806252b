import { readFile } from 'node:fs/promises'

/** The parts of deploy/grafana-dashboard.json that tests read. */
export interface Dashboard {
  schemaVersion: number
  uid: string
  templating: { list: Array<{ name: string, type: string }> }
  panels: Panel[]
}

export interface Panel {
  id: number
  type: string
  title: string
  description?: string
  datasource?: { type: string, uid: string }
  gridPos: { x: number, y: number, w: number, h: number }
  fieldConfig?: {
    defaults: { unit?: string, max?: number, custom?: { stacking?: { mode: string } } }
    overrides: Array<{ matcher: { options: string }, properties: Array<{ id: string, value: unknown }> }>
  }
  targets?: Target[]
}

/** A query; `legendFormat` is the template of the series' names. */
export interface Target {
  expr: string
  legendFormat: string
  refId: string
}

export async function readDashboard (): Promise<Dashboard> {
  return JSON.parse(await readFile('deploy/grafana-dashboard.json', 'utf8'))
}

/** Fills in a query's variables, as Grafana does. `rateInterval` is a PromQL duration. */
export function fillIn (expr: string, rateInterval: string): string {
  return expr.replaceAll('$__rate_interval', rateInterval).replaceAll('$job', 'refresh-token-service').replaceAll('$instance', '.*')
}
