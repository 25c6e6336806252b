import { spawnSync } from 'node:child_process'
import type { FastifyInstance } from 'fastify'

/** A scrape, as Prometheus reads it. */
export interface Scrape {
  text: string
  /** Samples by name and labels, unchanged: `name` or `name{label="value",…}`. */
  samples: Map<string, number>
  /** Declared type of each metric, by name. */
  types: Map<string, string>
  /** Label names by sample name, including `_bucket`, `_sum` and `_count` of histograms. */
  labels: Map<string, Set<string>>
}

/** @throws if a sample occurs twice. */
export function parseMetrics (text: string): Scrape {
  const scrape: Scrape = { text, samples: new Map(), types: new Map(), labels: new Map() }
  for (const line of text.split('\n').filter(line => line !== '')) {
    const [, declared, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? []
    if (declared !== undefined) scrape.types.set(declared, type!)
    if (line.startsWith('#')) continue
    const [, key, name, labels = '', value] = /^((\w+)(?:\{(.*)\})?) (\S+)$/.exec(line)!
    if (scrape.samples.has(key!)) throw new Error(`${key} twice`)
    scrape.samples.set(key!, Number(value))
    const names = scrape.labels.get(name!) ?? new Set()
    for (const [, label] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) names.add(label!)
    scrape.labels.set(name!, names)
  }
  return scrape
}

export async function scrape (internal: FastifyInstance): Promise<Scrape> {
  return parseMetrics((await internal.inject('/metrics')).body)
}

/** Runs promtool and returns its status and output. */
export function promtool (args: string[], input?: string): { status: number | null, output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { encoding: 'utf8', ...(input === undefined ? {} : { input }) })
  return { status, output: stdout + stderr }
}
