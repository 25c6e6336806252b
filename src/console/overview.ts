import { chart } from './chart.ts'
import { quantile, sumUp, type History, type Minute } from './history.ts'
import { html, type Html } from './html.ts'

/** The tiles of the last hour. The page fetches them again while it is open. */
export function overview ({ minutes: read, buckets }: History): Html {
  const minutes = read()
  const { done, refused, reused, failed, outcomes } = sumUp(minutes)
  const latency = minutes.map(minute => quantile([minute], buckets, 0.99))
  const finite = latency.map(value => value === Infinity ? buckets.at(-1)! * 2 : value)
  return html`<div class="tiles">
${tile('Refreshes', done, minutes, minute => sumUp([minute]).done)}
${tile('Refused', refused, minutes, minute => sumUp([minute]).refused)}
${tile('Reuse: a copied token', reused, minutes, minute => sumUp([minute]).reused, reused > 0)}
${tile('Failed or turned away', failed, minutes, minute => sumUp([minute]).failed, failed > 0)}
<section class="tile"><h3>Redis, 99 % within</h3><p class="figure">${duration(quantile(minutes, buckets, 0.99))}</p>
${chart(finite, `Redis, 99 % within, by minute; now ${duration(latency.at(-1))}`, i => `${time(minutes[i]!)} ${duration(latency[i])}`)}</section>
</div>
<details><summary>Refreshes by outcome</summary><table><thead><tr><th scope="col">Outcome</th><th scope="col" class="number">Requests</th></tr></thead>
<tbody>${outcomes.map(([outcome, count]) => html`<tr><th scope="row">${outcome}</th><td class="number">${count.toLocaleString('en')}</td></tr>`)}</tbody></table>
${outcomes.length === 0 && html`<p class="soft">No request in this hour.</p>`}</details>`
}

function tile (title: string, total: number, minutes: Minute[], countOf: (minute: Minute) => number, isAlert = false): Html {
  const counts = minutes.map(countOf)
  const summary = `${title} by minute: at most ${Math.max(...counts)}, in this minute ${counts.at(-1)}`
  return html`<section class="tile${isAlert && ' alert'}"><h3>${title}</h3><p class="figure">${total.toLocaleString('en')}</p>
${chart(counts, summary, i => `${time(minutes[i]!)} ${counts[i]}`)}</section>`
}

function time ({ at }: Minute): string {
  return `${new Date(at).toISOString().slice(11, 16)} UTC:`
}

/** Seconds, as a text. */
function duration (seconds: number | undefined): string {
  if (seconds === undefined) return '–'
  return seconds === Infinity ? 'over 2.5 s' : `${seconds * 1000} ms`
}
