import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import t from 'tap'
import { Environment } from '#src/config/environment'
import { startService, tempFolder } from './helper.ts'

/** The README's tour prints what the README says, and its table of variables is the schema's. */

t.test('the tour', async t => {
  const readme = await readFile('README.md', 'utf8')
  const tour = /## A two-minute tour\n([^]*?)\n## /.exec(readme)![1]!
  const blocks = [...tour.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, language, text]) => ({ language, text: text! }))
  const DATA_DIR = await tempFolder(t)
  const service = await startService(t, { DATA_DIR, LOG_LEVEL: 'info' })

  // All in one shell, as a reader would; a form feed after each block tells their outputs apart.
  const script = blocks.filter(({ language }) => language === 'sh').map(({ text }) => `${text}\nprintf '\\f'\n`).join('')
    .replaceAll('localhost:3000', new URL(service.publicUrl).host)
    .replaceAll('localhost:3001', new URL(service.internalUrl).host)
    .replaceAll('.data/', `${DATA_DIR}/`)
  const printed = execFileSync('bash', ['-c', script], { encoding: 'utf8' }).split('\f')
    .map(text => text.replace(/eyJ[\w.-]+/g, 'eyJ…').replace(/("sid"|"\w+At"):"[^"]+"/g, '$1:"…"').trim())
  const expected = blocks.flatMap(({ language }, i) =>
    language !== 'sh' ? [] : [blocks[i + 1] === undefined || blocks[i + 1]!.language === 'sh' ? '' : blocks[i + 1]!.text.trim()])
  t.same(printed.slice(0, -1), expected)
  service.child.kill('SIGTERM')
  await service.exited
})

t.test('every variable of the schema is in the README, and no other', async t => {
  const readme = await readFile('README.md', 'utf8')
  const table = /## Configuration\n([^]*?)\n## /.exec(readme)![1]!
  const documented = table.split('\n').flatMap(row => [...(row.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name!))
  t.same(documented.sort(), Object.keys(Environment.properties).sort())
})
