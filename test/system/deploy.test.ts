import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { fillIn, readDashboard } from '../support/grafana.ts'
import { build, startRedis, tempFolder } from '../support/helper.ts'
import { parseMetrics, promtool, type Scrape } from '../support/metrics-text.ts'
import { selectorsOf } from '../support/promql.ts'

/** The alerts and the dashboard in deploy/ use existing metrics, and work in Prometheus and Grafana. */

interface Rule {
  alert: string
  expr: string
  labels: { severity: string }
  annotations: Record<string, string>
}

const rules = async (): Promise<Rule[]> => parse(await readFile('deploy/alerts.yml', 'utf8')).groups.flatMap(({ rules }: { rules: Rule[] }) => rules)

/** Scrapes a service that has opened and refreshed a session. */
async function liveMetrics (t: Test): Promise<Scrape> {
  const redis = await startRedis(t)
  const service = await build(t, redis)
  await service.refresh((await service.open()).refreshToken)
  return parseMetrics((await service.internal.inject('/metrics')).body)
}

/** Prometheus adds these itself: a sample for each scrape, and the labels of the target. */
const prometheusMetrics = ['up']
const prometheusLabels = ['job', 'instance']

function assertNamed (t: Test, { labels, text }: Scrape, expr: string, where: string): void {
  const selectors = selectorsOf(expr)
  t.ok(selectors.length > 0, where)
  for (const { metric, labels: named } of selectors) {
    if (prometheusMetrics.includes(metric)) continue
    const live = labels.get(metric)
    if (!t.ok(live, `${where}: the metric ${metric} exists`)) continue
    for (const { name, values } of named.filter(({ name }) => !prometheusLabels.includes(name))) {
      t.ok(live!.has(name), `${where}: ${metric} has a label ${name}`)
      for (const value of values) t.ok(text.includes(`${name}="${value}"`), `${where}: ${name} can be ${value}`)
    }
  }
}

t.test('every metric, label and value in the alerts and the dashboard exists', async t => {
  const live = await liveMetrics(t)
  for (const { alert, expr } of await rules()) assertNamed(t, live, expr, alert)
  for (const { title, targets = [] } of (await readDashboard()).panels) {
    for (const { expr } of targets) assertNamed(t, live, fillIn(expr, '1m').replace(/(job|instance)=~?"[^"]*"/g, '$1!=""'), title)
  }
})

t.test('selectorsOf finds the metrics and labels of an expression', async t => {
  t.same(selectorsOf('sum by (le, x) (rate(a_total{b="c", d=~"e|f}", g!="h"}[5m])) / on (i) up > 0.5 and avg(z)'), [
    { metric: 'a_total', labels: [{ name: 'b', values: ['c'] }, { name: 'd', values: ['e', 'f}'] }, { name: 'g', values: [] }] },
    { metric: 'up', labels: [] },
    { metric: 'z', labels: [] }
  ].map(({ metric, labels }) => ({ metric, labels: [...labels, ...['le', 'x', 'i'].map(name => ({ name, values: [] }))] })))
})

t.test('promtool accepts a scrape', async t => {
  t.same(promtool(['check', 'metrics'], (await liveMetrics(t)).text), { status: 0, output: '' })
})

t.test('promtool accepts the rules, and their tests pass', async t => {
  t.match(promtool(['check', 'config', 'deploy/prometheus.yml']), { status: 0, output: /alerts\.yml[^]*SUCCESS/ })
  t.match(promtool(['check', 'rules', '--lint-fatal', 'deploy/alerts.yml']), { status: 0 })
  t.match(promtool(['test', 'rules', 'deploy/alerts.test.yml']), { status: 0 })
  t.match(promtool(['test', 'rules', await brokenRules(t)]), { status: 1 }, 'the tests fail with a broken rule')
})

/** The unit tests with rules one of which never fires. */
async function brokenRules (t: Test): Promise<string> {
  const folder = await tempFolder(t)
  await writeFile(join(folder, 'alerts.yml'), (await readFile('deploy/alerts.yml', 'utf8')).replace('rts_ready == 0', 'rts_ready == 2'))
  await writeFile(join(folder, 'alerts.test.yml'), await readFile('deploy/alerts.test.yml'))
  return join(folder, 'alerts.test.yml')
}

t.test('each alert has a severity, a summary, a description, a runbook and a test', async t => {
  interface UnitTest { alert_rule_test: Array<{ alertname: string, exp_alerts: unknown[] }> }
  const { tests } = parse(await readFile('deploy/alerts.test.yml', 'utf8')) as { tests: UnitTest[] }
  const firing = new Set(tests.flatMap(test => test.alert_rule_test)
    .filter(({ exp_alerts: alerts }) => alerts.length > 0).map(({ alertname }) => alertname))
  const all = await rules()
  t.equal(new Set(all.map(({ alert }) => alert)).size, all.length)
  for (const { alert, labels, annotations } of all) {
    t.match(labels, { severity: /^(critical|warning)$/ }, alert)
    t.same(Object.keys(annotations), ['summary', 'description', 'runbook'], alert)
    t.equal(annotations.runbook, `docs/operations.md#${alert.toLowerCase()}`)
    t.ok(firing.has(alert), `${alert} fires in a test`)
  }
})

t.test('Grafana can import the dashboard', async t => {
  const { panels, templating, schemaVersion } = await readDashboard()
  t.equal(schemaVersion, 39)
  t.same(templating.list.map(({ name, type }) => `${name}: ${type}`), ['datasource: datasource', 'job: query', 'instance: query'])
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length, 'ids are unique')
  t.equal(new Set(panels.map(({ title }) => title)).size, panels.length, 'titles are unique')
  const cells = new Set<string>()
  for (const { title, type, datasource, description, gridPos: { x, y, w, h }, fieldConfig, targets = [] } of panels) {
    const own = Array.from({ length: w * h }, (_, i) => `${x + i % w},${y + Math.floor(i / w)}`)
    t.ok(x + w <= 24 && own.every(cell => !cells.has(cell)), `${title} overlaps no other panel`)
    own.forEach(cell => cells.add(cell))
    if (type === 'row') continue
    t.same(datasource, { type: 'prometheus', uid: '${datasource}' }, title) // eslint-disable-line no-template-curly-in-string
    t.ok(description, title)
    if (type !== 'table') t.ok(fieldConfig!.defaults.unit, `${title} has a unit`)
    for (const { expr } of targets) t.match(expr, /job="\$job", instance=~"\$instance"/, `${title} shows only the selected replicas`)
  }

  const queries = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => fillIn(expr, '1m')))
  t.notOk(queries.some(query => query.includes('$')), 'every variable is filled in')
  const file = join(await tempFolder(t), 'queries.yml')
  const groups = [{ name: 'queries', rules: queries.map((expr, i) => ({ record: `query:${i}`, expr })) }]
  await writeFile(file, JSON.stringify({ groups }))
  t.match(promtool(['check', 'rules', file]), { status: 0, output: new RegExp(`SUCCESS: ${queries.length} rules`) }, 'Prometheus accepts every query')
})
