import { Registry } from 'prom-client'
import t from 'tap'
import { createHistory, quantile, sumUp } from '#src/console/history'
import { overview } from '#src/console/overview'
import { addSeries, createHistogram, observe } from '#src/metrics/instruments'
import { createHealth } from '#src/health'
import { createMetrics } from '#src/metrics/metrics'

t.test('keeps an hour of minutes, and forgets older ones', t => {
  const { refreshes } = createMetrics(createHealth())
  const scripts = createHistogram(new Registry(), { name: 'calls', help: 'calls', buckets: [0.001, 0.01] })
  const series = [addSeries(scripts, { script: 'rotate' }), addSeries(scripts, { script: 'open' })] as const
  refreshes.rotated = 1000
  let now = 0
  const history = createHistory({ refreshes, scripts }, () => now)
  t.same(sumUp(history.minutes()), { done: 0, refused: 0, reused: 0, failed: 0, outcomes: [] }, 'only what happened since the start')
  t.equal(quantile(history.minutes(), history.buckets, 0.99), undefined)

  for (let minute = 0; minute < 70; minute++) {
    refreshes.rotated++
    now += 60_000
    history.tick()
  }
  refreshes.retried += 2
  refreshes.reused += 3
  refreshes.forged += 4
  refreshes.limited += 5
  const minutes = history.minutes()
  t.equal(minutes.length, 60)
  t.equal(minutes[0]!.at, 11 * 60_000)
  const { outcomes, ...sums } = sumUp(minutes)
  t.same(sums, { done: 61, refused: 4, reused: 3, failed: 5 })
  t.same(outcomes[0], ['rotated', 59])

  observe(series[0], 0.0005, 98)
  observe(series[1], 0.005)
  observe(series[1], 2)
  const latest = history.minutes().slice(-1)
  t.equal(quantile(latest, history.buckets, 0.98), 0.001)
  t.equal(quantile(latest, history.buckets, 0.99), 0.01)
  t.equal(quantile(latest, history.buckets, 1), Infinity)

  const { html } = overview(history)
  t.match(html, /Reuse: a copied token<\/h3><p class="figure">3</)
  t.match(html, /<th scope="row">limited<\/th><td class="number">5</)
  t.match(html, 'aria-label="Refreshes by minute: at most 2, in this minute 2"')
  t.equal(html.match(/<rect/g)!.length, 5 * 60)
  t.notMatch(html, /NaN|undefined|Infinity/)

  observe(series[1], 2, 98)
  t.match(overview(history).html, /Redis, 99 % within<\/h3><p class="figure">over 2\.5 s</)
  t.end()
})
