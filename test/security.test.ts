import { readFile } from 'node:fs/promises'
import t from 'tap'

/** Every row of docs/security.md names the tests or pages that show it. test/readme.test.ts checks that the linked files exist. */

/** Verdicts of a requirement that need a link as evidence. */
const NEEDS_LINK = ['met', 'in part']
const NEEDS_NONE = ['not met', 'not applicable', 'login service', 'operator', 'client', 'api']

interface Row { section: string, cells: string[], text: string }

const page = await readFile('docs/security.md', 'utf8')

/** Test files by their labels. */
const definitions = new Map([...page.matchAll(/^\[([^\]]+)\]: (\S+)$/gm)].map(([, label, path]) => [label!, path!]))

/** The rows of the tables of attacks and of requirements. */
const rows: Row[] = page.split(/^#{2,3} /m).flatMap(part => {
  const [section = '', ...lines] = part.split('\n')
  const table = lines.filter(line => line.startsWith('| '))
  if (!/^\| (attack|no\.) \|/.test(table[0] ?? '')) return []
  return table.slice(1).map(text => ({ section, cells: text.split(' | ').map(cell => cell.replace(/^\| | \|$/g, '')), text }))
})

/** The labels of a text, without links that have an address in brackets. */
const labelsOf = (text: string): string[] => [...text.matchAll(/\[([^\]]+)\](?![(:])/g)].map(([, label]) => label!)

t.test('every label is used and leads to a test file', async t => {
  const used = new Set(labelsOf(page))
  t.same([...used].sort(), [...definitions.keys()].sort())
  for (const path of definitions.values()) t.match(path, /\.test\.ts$/)
})

t.test('every row names its evidence', async t => {
  t.ok(rows.length > 150, `${rows.length} rows`)
  for (const { cells, text } of rows) {
    const [, , answer = ''] = cells
    t.equal(cells.length, 3, text)
    const verdict = /^\*\*([^*]+)\*\*/.exec(answer)?.[1]?.toLowerCase()
    if (verdict === undefined) t.ok(labelsOf(answer).length > 0, `no test: ${text}`)
    else if (NEEDS_LINK.includes(verdict)) t.match(answer, /\[/, `no link: ${text}`)
    else t.ok(NEEDS_NONE.includes(verdict), `«${verdict}» in ${text}`)
  }
})

t.test('the tables list every requirement', async t => {
  const numbers = (section: string): string[] => rows.filter(row => row.section === section).map(({ cells }) => cells[0]!)
  const chapter = (chapter: number, ...sizes: number[]): string[] =>
    sizes.flatMap((size, i) => Array.from({ length: size }, (_, j) => `${chapter}.${i + 1}.${j + 1}`))
  t.same(numbers('V7, sessions'), chapter(7, 3, 4, 2, 5, 3, 2))
  t.same(numbers('V9, self-contained tokens'), chapter(9, 3, 4))
  t.same(numbers('RFC 8725, JSON Web Tokens'), Array.from({ length: 12 }, (_, i) => `3.${i + 1}`))
})
