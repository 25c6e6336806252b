import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Processes } from './processes.ts'

/** A Prometheus that scrapes every second. */
export interface Prometheus {
  /** The values of an expression between two moments, Unix seconds; one result a series. */
  queryRange (expr: string, from: number, to: number): Promise<Array<{ labels: Record<string, string>, points: Array<[number, number]> }>>
}

interface RangeVector {
  metric: Record<string, string>
  values: Array<[time: number, value: string]>
}

/** Starts one on a port of the system's choice that keeps its data in `folder`; targets are named as in `replicas`. */
export async function startPrometheus (processes: Processes, folder: string, replicas: Record<string, string>): Promise<Prometheus> {
  const config = {
    global: { scrape_interval: '1s' },
    scrape_configs: [{
      job_name: 'refresh-token-service',
      static_configs: Object.entries(replicas).map(([instance, url]) => ({ targets: [new URL(url).host], labels: { instance } }))
    }]
  }
  // JSON is YAML.
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config))
  const [, address] = await processes.start('prometheus', [
    `--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`, '--web.listen-address=127.0.0.1:0'
  ], /msg="Listening on" address=(\S+)/)
  return {
    async queryRange (expr, from, to) {
      const query = new URLSearchParams({ query: expr, start: String(from), end: String(to), step: '1' })
      const response = await fetch(`http://${address}/api/v1/query_range?${query}`)
      const { data } = await response.json() as { data: { result: RangeVector[] } }
      return data.result.map(({ metric, values }) => ({
        labels: metric,
        points: values.map(([time, value]): [number, number] => [time, Number(value)]).filter(([, value]) => Number.isFinite(value))
      }))
    }
  }
}
