import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'

t.test('every test that docs/dpop.md names exists in test/dpop', async t => {
  const page = await readFile('docs/dpop.md', 'utf8')
  const files = (await readdir('test/dpop')).filter(name => name.endsWith('.test.ts'))
  const sources = await Promise.all(files.map(async name => await readFile(`test/dpop/${name}`, 'utf8')))
  const titles = new Set(sources.flatMap(source => [...source.matchAll(/^t\.test\('((?:[^'\\]|\\.)+)'/gm)].map(([, title]) => title!.replaceAll('\\', ''))))
  const rows = [...page.split('## Requirements')[1]!.matchAll(/^\| [\d, .]+ \| .* \| (?:`(.+)`|(none is given)) \|$/gm)]
  t.ok(rows.length > 25, `${rows.length} rows`)
  for (const [row, title] of rows) t.ok(title === undefined || titles.has(title), row)
})
