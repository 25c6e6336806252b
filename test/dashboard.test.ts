import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { drawChart, type Chart } from '../scripts/dashboard/chart.ts'
import { createProcesses } from '../scripts/dashboard/processes.ts'
import { format, ticksTo } from '../scripts/dashboard/units.ts'
import { tempFolder } from './helper.ts'

/** `npm run dashboard`, on a short run, and how its charts are drawn. */

t.test('the picture shows what happened', async t => {
  const file = join(await tempFolder(t), 'dashboard.svg')
  await promisify(execFile)(process.execPath, ['--import', './scripts/typescript.mjs', 'scripts/dashboard-picture.ts', file], {
    env: { ...process.env, DASHBOARD_SECONDS: '10' }
  })
  const svg = await readFile(file, 'utf8')
  const texts = (name: string, text: string): string[] => [...text.matchAll(new RegExp(`<text class="${name}"[^>]*>([^<]*?) ?<`, 'g'))].map(([, text]) => text!)
  t.same(texts('title', svg), texts('title', await readFile('docs/dashboard.svg', 'utf8')), 'the panels of the committed one')
  const shown = texts('legend', svg)
  for (const name of ['rotated', 'retried', 'unavailable', 'reused', 'ended: logout', 'ended: reuse', 'p99', 'replica 3']) t.ok(shown.includes(name), name)
  t.match(svg, /1: Redis hangs · 2: used tokens are replayed · 3: log-outs · 4: Redis loses writes/)
  t.notMatch(svg, /NaN|undefined|Infinity/)
})

t.test('a program that ends before it is ready', async t => {
  const processes = createProcesses()
  await t.rejects(processes.start(process.execPath, ['-e', 'process.exit(3)'], /ready/), { message: /ended with 3 before it was ready/ })
  await processes.end()
})

t.test('values and scales', async t => {
  t.same([0, 1.2e-5, 0.0034567, 2].map(value => format(value, 's')), ['0 µs', '12 µs', '3.46 ms', '2 s'])
  t.same([format(0.5, 'percentunit'), format(3 * 2 ** 20, 'bytes'), format(1234, 'short'), format(7, 'reqps')], ['50 %', '3 MiB', '1230', '7 /s'])
  t.same(ticksTo(0, 'short'), { ticks: [0, 0.25, 0.5, 0.75, 1], top: 1 })
  t.same(ticksTo(90, 'short'), { ticks: [0, 25, 50, 75, 100], top: 100 })
  t.same(ticksTo(3 * 2 ** 20, 'bytes'), { ticks: [0, 1, 2, 3].map(n => n * 2 ** 20), top: 3 * 2 ** 20 })
})

t.test('charts', async t => {
  const chart: Chart = { title: 'A < B & C', unit: 'short', stacked: false, from: 100, to: 110, series: [], marks: [] }
  t.match(drawChart(chart), 'A &lt; B &amp; C')
  const small = { name: 'small', color: 'red', points: [[100, 1], [101, 1]] as Array<[number, number]> }
  const large = { name: 'large', color: 'green', points: [[100, 3], [101, 3], [105, 3], [106, 3]] as Array<[number, number]> }
  const apart = drawChart({ ...chart, series: [small, large] })
  t.equal([...apart.matchAll(/class="line green" d="M58/g)].length, 1)
  t.equal([...apart.matchAll(/class="line green" d="M\S+ \S+L/g)].length, 2, 'interrupted where nothing is known')
  t.notMatch(apart, 'class="area')
  const stacked = drawChart({ ...chart, stacked: true, series: [small, large], marks: [{ number: 7, from: 102, to: 102 }] })
  t.ok(stacked.indexOf('area red') < stacked.indexOf('area green'), 'what lies below covers what reaches down to the ground')
  t.match(stacked, /<rect class="mark"[^>]*width="1.5"[^]*>7</)
  t.match(drawChart({ ...chart, to: 2000 }), '1800 s')
})
