import t from 'tap'
import { parseTraceparent } from '#src/http/trace-context'

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const parentSpanId = '00f067aa0ba902b7'

t.test('reads the trace and the calling span from a traceparent', async t => {
  for (const flags of ['00', '01', '03', 'ff']) {
    t.same(parseTraceparent(`00-${traceId}-${parentSpanId}-${flags}`), { traceId, parentSpanId }, flags)
  }
  t.same(parseTraceparent(`00-${'0'.repeat(31)}1-${'0'.repeat(15)}1-00`), { traceId: `${'0'.repeat(31)}1`, parentSpanId: `${'0'.repeat(15)}1` })
})

t.test('reads the known fields of a later version', async t => {
  for (const header of [`cc-${traceId}-${parentSpanId}-01`, `01-${traceId}-${parentSpanId}-01-what-comes`, `01-${traceId}-${parentSpanId}-01-`]) {
    t.same(parseTraceparent(header), { traceId, parentSpanId }, header)
  }
})

t.test('ignores an invalid traceparent', async t => {
  const wrong = [
    '', traceId, `${traceId}-${parentSpanId}-01`,
    `ff-${traceId}-${parentSpanId}-01`, `0-${traceId}-${parentSpanId}-01`, `000-${traceId}-${parentSpanId}-01`, `0G-${traceId}-${parentSpanId}-01`,
    `00-${traceId.slice(1)}-${parentSpanId}-01`, `00-${traceId}0-${parentSpanId}-01`, `00-${traceId.slice(1)}g-${parentSpanId}-01`,
    `00-${traceId.toUpperCase()}-${parentSpanId}-01`, `00-${traceId}-${parentSpanId.toUpperCase()}-01`, `00-${traceId}-${parentSpanId}-0A`,
    `00-${'0'.repeat(32)}-${parentSpanId}-01`, `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId}-${parentSpanId.slice(1)}-01`, `00-${traceId}-${parentSpanId}0-01`,
    `00-${traceId}-${parentSpanId}`, `00-${traceId}-${parentSpanId}-1`, `00-${traceId}-${parentSpanId}-011`,
    `00-${traceId}-${parentSpanId}-01-`, `00-${traceId}-${parentSpanId}-01-more`, `01-${traceId}-${parentSpanId}-01.more`,
    `00_${traceId}_${parentSpanId}_01`, ` 00-${traceId}-${parentSpanId}-01`, `00-${traceId}-${parentSpanId}-01\n`,
    `00-${traceId}-${parentSpanId}-01, 00-${traceId}-${parentSpanId}-01`
  ]
  for (const header of wrong) t.equal(parseTraceparent(header), undefined, JSON.stringify(header))
})
