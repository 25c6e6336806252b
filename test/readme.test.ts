import { execFileSync } from 'node:child_process'
import { access, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { Environment, secretNames } from '#src/config/environment'
import { startService, tempFolder } from './support/helper.ts'

/** The documentation: examples print the documented output, tables match the code, and links and paths exist. */

t.test('the tour of the README and its continuation in docs/internal-api.md print the documented output', async t => {
  const tour = await section('README.md', 'A two-minute tour') + await section('docs/internal-api.md', 'An example')
  const blocks = [...tour.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, language, text]) => ({ language, text: text! }))
  const DATA_DIR = await tempFolder(t)
  const service = await startService(t, { DATA_DIR, LOG_LEVEL: 'info' })

  // One shell runs all blocks; a form feed after each block separates their outputs.
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

t.test('docs/configuration.md lists exactly the variables of the schema and the secrets that files can give', async t => {
  const [table = '', files = ''] = (await readFile('docs/configuration.md', 'utf8')).split('## Secrets from files')
  const [, names = ''] = /The names are([^.]+)\./.exec(files)!
  t.same([...names.matchAll(/`(\w+)_FILE`/g)].map(([, name]) => name), secretNames)
  const rows = table.split('\n')
  const documented = rows.flatMap(row => [...(row.split('|')[1] ?? '').matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name!))
  t.same(documented.sort(), Object.keys(Environment.properties).sort())
})

t.test('every relative link leads to a file, and its anchor to a heading of the file', async t => {
  for (const page of await pages()) {
    for (const link of linksOf(await readFile(page, 'utf8'))) {
      const [path = '', anchor] = link.split('#')
      const file = path === '' ? page : join(dirname(page), path)
      await t.resolves(access(file), `${page}: ${link}`)
      if (anchor !== undefined) t.ok(anchorsOf(await readFile(file, 'utf8')).includes(anchor), `${page}: ${link}`)
    }
  }
})

t.test('docs/README.md lists every page of docs', async t => {
  const listed = linksOf(await readFile('docs/README.md', 'utf8'))
  const inDocs = (await readdir('docs')).filter(name => name.endsWith('.md'))
  t.same(inDocs.filter(name => !listed.includes(name)), ['README.md'])
})

t.test('every path in the maps of CONTRIBUTING.md exists', async t => {
  const [, maps] = /## Where things are\n([^]*?)\n## /.exec(await readFile('CONTRIBUTING.md', 'utf8'))!
  const paths = [...maps!.matchAll(/`([\w.-]+(?:\/[\w.-]*)+|[\w-]+\.yml)`/g)].map(([, path]) => path!)
  for (const path of paths) await t.resolves(access(path), path)
  const rooms = (await readdir('src', { withFileTypes: true })).filter(entry => entry.isDirectory()).map(({ name }) => `src/${name}/`)
  t.same(rooms.filter(room => !paths.includes(room)), [], 'the maps list every folder of src')
})

async function section (page: string, heading: string): Promise<string> {
  const text = await readFile(page, 'utf8')
  return new RegExp(`## ${heading}\n([^]*?)\n## `).exec(text)![1]!
}

/** The paths of all Markdown pages. */
async function pages (): Promise<string[]> {
  const folders = ['.', 'bench', 'docs', 'examples', 'packages/client', 'packages/validator']
  const pages = await Promise.all(folders.map(async folder => (await readdir(folder)).map(name => join(folder, name))))
  return pages.flat().filter(path => path.endsWith('.md'))
}

/** The relative links of a page, inline or by reference. */
function linksOf (text: string): string[] {
  const prose = text.replace(/^```[^]*?^```/gm, '')
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm)].map(([, inline, reference]) => inline ?? reference!)
  return links.filter(link => !/^[a-z]+:/.test(link))
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf (text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-'))
}
