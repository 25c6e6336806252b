import t from 'tap'
import { checksText, ok, unknown, warn } from '#src/cli/doctor/check'
import { bytes, count, createProgress, printable, screenOf, table, toJson } from '#src/cli/output'

const wide = { columns: Infinity, colors: false }

t.test('a table wider than the screen becomes a list', async t => {
  const [headings, rows] = [['SID', 'LABEL'], [['abc', 'Pixel 9'], ['defgh', '']]]
  t.equal(table(headings, rows, wide), 'SID    LABEL\nabc    Pixel 9\ndefgh\n')
  t.equal(table(headings, rows, { columns: 14, colors: false }), table(headings, rows, wide))
  t.equal(table(headings, rows, { columns: 13, colors: false }), 'SID    abc\nLABEL  Pixel 9\n\nSID    defgh\nLABEL\n')
})

t.test('only a terminal has columns and colours', async t => {
  const write = (): void => {}
  t.same(screenOf({ write }), wide)
  t.same(screenOf({ write, isTTY: true, columns: 60, hasColors: () => true }), { columns: 60, colors: true })
  t.same(screenOf({ write, isTTY: true, hasColors: () => false }), { columns: 80, colors: false })
  const checks = [ok('a', 'fine'), { ...warn('longer', 'not fine', 'change it'), server: 'h:1' }]
  t.equal(checksText(checks, wide), 'ok    a       fine\nwarn  longer  not fine (h:1)\n              → change it\n\n1 ok, 1 to look at, 0 failed.\n')
  t.equal(checksText([ok('a', 'fine'), unknown('b', 'not told', 'ask')], wide), 'ok       a  fine\nunknown  b  not told\n            → ask\n\n1 ok, 1 unknown, 0 to look at, 0 failed.\n')
  t.ok(checksText(checks, { ...wide, colors: true }).startsWith('\u001b[32mok  \u001b[39m  a       fine\n\u001b[33mwarn'))
})

t.test('the progress bar fits one line, is drawn at most every 100 ms, and is erased at the end', async t => {
  const written: string[] = []
  const terminal = { isTTY: true, columns: 60, write: (text: string) => written.push(text) }
  let now = 0
  t.intercept(performance, 'now', { value: () => now })
  const progress = createProgress(terminal)
  progress.show(0.5, '1,234 users')
  now = 99
  progress.show(0.6, '2,000 users')
  now = 100
  progress.show(1, '3,000 users')
  progress.end()
  t.same(written, [
    `\r\u001b[K[${'#'.repeat(19)}${'-'.repeat(19)}]  50 %  1,234 users`, `\r\u001b[K[${'#'.repeat(38)}] 100 %  3,000 users`, '\r\u001b[K'
  ])
  written.length = 0
  createProgress({ ...terminal, columns: 10 }).show(1, '5 users')
  t.same(written, ['\r\u001b[K[] 100 %  5 users'])
  createProgress({ write: () => t.fail('there is no terminal') }).end()
})

t.test('formats sizes and counts, and escapes control characters', async t => {
  t.same([0, 312, 1432, 2.5e9, 1e18].map(bytes), ['0 B', '312 B', '1.4 kB', '2.5 GB', '1000000.0 TB'])
  t.same([1, 2, 12345].map(number => count(number, 'user')), ['1 user', '2 users', '12,345 users'])
  t.equal(printable('a\u001b[2J\u2028\u202e👩‍💻'), 'a\ufffd[2J\ufffd\ufffd👩‍💻')
  t.equal(toJson({ a: '\u009b\u{e0001}é' }), '{"a":"\\u009b\\udb40\\udc01é"}\n')
})
