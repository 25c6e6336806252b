import { access, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { secretNames } from '#src/config/environment'
import { Environment } from '#src/config/schema'
import { referencePages } from '../scripts/reference.ts'
import { startService, tempFolder } from './support/helper.ts'
import { runBlocks } from './support/pages.ts'

/** The documentation: examples print the documented output, tables match the code, and links and paths exist. */

t.test('the tour of the README and its continuation in docs/internal-api.md print the documented output', async t => {
  await runPage(t, await section('README.md', 'A two-minute tour') + await section('docs/internal-api.md', 'An example'))
})

for (const name of ['client', 'services']) {
  t.test(`docs/getting-started/${name}.md prints the documented output`, async t => {
    await runPage(t, await readFile(`docs/getting-started/${name}.md`, 'utf8'))
  })
}

t.test('the tour of docs/oauth.md prints the documented output', async t => {
  await runPage(t, await section('docs/oauth.md', 'A tour'), { OAUTH_ISSUER: 'http://localhost:3000' })
})

t.test('docs/reference is as the code says', async t => {
  const made = await referencePages()
  const inFolder = (await readdir('docs/reference')).filter(name => name.endsWith('.md'))
  t.same(inFolder.sort(), Object.keys(made).sort())
  for (const [name, text] of Object.entries(made)) {
    t.equal(await readFile(`docs/reference/${name}`, 'utf8'), text, 'run `npm run reference` and commit docs/reference')
  }
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
  const inDocs = (await pages()).flatMap(path => /^docs\/(.*)/.exec(path)?.[1] ?? [])
  t.same(inDocs.filter(name => !listed.includes(name)), ['README.md'])
})

t.test('every path in the maps of CONTRIBUTING.md exists', async t => {
  const [, maps] = /## Where things are\n([^]*?)\n## /.exec(await readFile('CONTRIBUTING.md', 'utf8'))!
  const paths = [...maps!.matchAll(/`([\w.-]+(?:\/[\w.-]*)+|[\w-]+\.yml)`/g)].map(([, path]) => path!)
  for (const path of paths) await t.resolves(access(path), path)
  const rooms = (await readdir('src', { withFileTypes: true })).filter(entry => entry.isDirectory()).map(({ name }) => `src/${name}/`)
  t.same(rooms.filter(room => !paths.includes(room)), [], 'the maps list every folder of src')
})

/** Runs the shell blocks of a page beside a service as `npm start` runs it, and compares the output with the block after each. */
async function runPage (t: Test, page: string, settings: Record<string, string> = {}): Promise<void> {
  const DATA_DIR = await tempFolder(t)
  const service = await startService(t, { DATA_DIR, LOG_LEVEL: 'info', ...settings })
  const { printed, expected } = runBlocks(page, script => script
    .replaceAll('localhost:3000', new URL(service.publicUrl).host)
    .replaceAll('localhost:3001', new URL(service.internalUrl).host)
    .replaceAll('.data/', `${DATA_DIR}/`))
  t.same(printed, expected)
  service.child.kill('SIGTERM')
  await service.exited
}

async function section (page: string, heading: string): Promise<string> {
  const text = await readFile(page, 'utf8')
  return new RegExp(`## ${heading}\n([^]*?)\n## `).exec(text)![1]!
}

/** The paths of all Markdown pages. */
async function pages (): Promise<string[]> {
  const folders = ['.', 'bench', 'docs', 'docs/getting-started', 'docs/reference', 'examples', 'packages/client', 'packages/validator']
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
