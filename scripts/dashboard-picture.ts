import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import { planEmbeddedRedis, startEmbeddedRedis } from '../src/redis/embedded.ts'
import { parseRedisUrl } from '../src/redis/url.ts'
import { drawChart, HEIGHT, WIDTH, type Chart } from './dashboard/chart.ts'
import { fillIn, readDashboard, type Panel } from './dashboard/dashboard.ts'
import { startLoad, type Replica } from './dashboard/load.ts'
import { createProcesses } from './dashboard/processes.ts'
import { startPrometheus, type Prometheus } from './dashboard/prometheus.ts'
import { tell, type Event } from './dashboard/story.ts'
import { palette, style } from './dashboard/style.ts'

// `npm run dashboard`: draws the main panels of deploy/grafana-dashboard.json from a real run, to docs/dashboard.svg or to the
// file that is named. Three replicas on a Redis of their own are scraped by a Prometheus, which is asked the dashboard's
// own queries. DASHBOARD_SECONDS is how long the run takes.

const seconds = Number(process.env.DASHBOARD_SECONDS ?? 60)
const target = process.argv[2] ?? 'docs/dashboard.svg'

/** Titles of the panels, in the order of the picture. */
const panels = [
  'Refreshes by outcome', 'Refresh latency', 'Answered 500', 'Refused', 'Reused and recovered', 'Sessions opened and ended',
  'Redis script latency, p99', 'Redis connections', 'Event loop', 'CPU, cores in use'
]

/** For `rate`: four scrapes, as Grafana has it. */
const RATE_INTERVAL = '4s'

/** Milliseconds of load before the picture begins, for clients to log in and rates to be known. */
const WARM_UP = 6000

const folder = await mkdtemp(join(tmpdir(), 'rts-dashboard-'))
const server = await startEmbeddedRedis(await planEmbeddedRedis(folder), pino({ level: 'silent' }))
const processes = createProcesses()
try {
  const redis = new Redis(parseRedisUrl(server.url)!.options)
  const apiKey = made()
  const environment = { REDIS_URL: server.url, INTERNAL_API_KEY: apiKey, ACCESS_TOKEN_SECRETS: made(), REFRESH_TOKEN_SECRETS: made() }
  const replicas = await Promise.all([1, 2, 3].map(async () => await startReplica(environment)))
  const prometheus = await startPrometheus(processes, folder,
    Object.fromEntries(replicas.map(({ internalUrl }, i) => [`replica ${i + 1}`, internalUrl])))

  console.log(`Three replicas are under load for ${seconds} seconds …`)
  const load = startLoad(replicas, apiKey, 32)
  await delay(WARM_UP)
  const from = Date.now() / 1000
  const events = await tell(seconds, load, redis)
  await load.stop()
  redis.disconnect()
  const to = Date.now() / 1000
  await writeFile(target, await draw(prometheus, from, to, events))
  console.log(`${target} shows them.`)
} finally {
  await processes.end()
  await server.stop()
  await rm(folder, { recursive: true })
}

function made (): string {
  return randomBytes(64).toString('base64url')
}

async function startReplica (environment: Record<string, string>): Promise<Replica> {
  const [line] = await processes.start(process.execPath, ['--import', './scripts/typescript.mjs', 'src/server.ts'],
    /^\{.*"refresh-token-service is ready"\}$/, { ...environment, PORT: '0', INTERNAL_PORT: '0' })
  const { public: publicUrl, internal: internalUrl } = JSON.parse(line)
  return { publicUrl, internalUrl }
}

async function draw (prometheus: Prometheus, from: number, to: number, events: Event[]): Promise<string> {
  const all = (await readDashboard()).panels
  const charts = await Promise.all(panels.map(async title =>
    await chartOf(all.find(panel => panel.title === title)!, prometheus, from, to, events)))
  const margin = 10
  const head = 62
  const width = 2 * WIDTH + 3 * margin
  const height = head + Math.ceil(charts.length / 2) * (HEIGHT + margin)
  const place = (i: number): string => `${margin + i % 2 * (WIDTH + margin)} ${head + Math.floor(i / 2) * (HEIGHT + margin)}`
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>The dashboard's main panels during a load run</title>
<style>${style}</style>
<rect class="page" width="${width}" height="${height}" rx="6"/>
<text class="heading" x="${margin + 4}" y="28">refresh-token-service, three replicas</text>
<text class="axis" x="${margin + 4}" y="48">${events.map(({ what }, i) => `${i + 1}: ${what}`).join(' · ')}</text>
${charts.map((chart, i) => `<g transform="translate(${place(i)})">\n${drawChart(chart)}\n</g>`).join('\n')}
</svg>
`
}

async function chartOf (panel: Panel, prometheus: Prometheus, from: number, to: number, events: Event[]): Promise<Chart> {
  const { title, targets = [], fieldConfig } = panel
  const { unit, custom } = fieldConfig!.defaults
  const chosen = new Map(fieldConfig!.overrides.map(({ matcher, properties }) =>
    [matcher.options, (properties[0]!.value as { fixedColor: string }).fixedColor]))
  const found = []
  for (const { expr, legendFormat } of targets) {
    for (const { labels, points } of await prometheus.queryRange(fillIn(expr, RATE_INTERVAL), from, to)) {
      const name = legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label]!)
      // What did not happen at all is not in the picture.
      if (points.some(([, value]) => value > 0)) found.push({ name, points })
    }
  }
  return {
    title,
    unit: unit!,
    stacked: custom?.stacking?.mode === 'normal',
    series: found.map(({ name, points }, i) => ({ name, points, color: chosen.get(name) ?? palette[i % palette.length]! })),
    from,
    to,
    marks: events.map(({ from, to }, i) => ({ number: i + 1, from, to }))
  }
}
