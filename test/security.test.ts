import { access, readdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'

/** docs/security.md names tests, files and requirements; none of them may be a claim alone. */

const PAGE = 'docs/security.md'
const page = await readFile(PAGE, 'utf8')

/** How a row begins whose answer is not simply a test. */
const NEEDS_TEST = ['met', 'in part']
const NEEDS_NONE = ['not met', 'not applicable', 'login service', 'operator', 'client', 'api']

interface Row { section: string, cells: string[], text: string }

/** The tables that make claims: of attacks, and of requirements. */
const rows: Row[] = page.split(/^#{2,3} /m).flatMap(part => {
  const [section = '', ...lines] = part.split('\n')
  const table = lines.filter(line => line.startsWith('| '))
  if (!/^\| (attack|no\.) \|/.test(table[0] ?? '')) return []
  return table.slice(1).map(text => ({ section, cells: text.split(' | ').map(cell => cell.replace(/^\| | \|$/g, '')), text }))
})

const definitions = new Map([...page.matchAll(/^\[([^\]]+)\]: (\S+)$/gm)].map(([, label, path]) => [label!, join('docs', path!)]))

/** What a cell links: labels, and addresses in round brackets, as paths from here. */
function linksOf (cell: string): string[] {
  const labels = [...cell.matchAll(/\[([^\]]+)\](?!\()/g)].map(([, label]) => definitions.get(label!) ?? `nowhere: [${label}]`)
  return [...labels, ...pathsOf(cell, PAGE)]
}

function pathsOf (text: string, from: string): string[] {
  return [...text.matchAll(/\]\(([^)]+)\)/g)].filter(([, path]) => !/^https:/.test(path!))
    .map(([, path]) => path!.startsWith('#') ? from + path : join(dirname(from), path!))
}

/** The tests that a cell names, each with the file that was linked last before it. */
function testsOf (cell: string): Array<{ file: string | undefined, name: string }> {
  let file: string | undefined
  return [...cell.replaceAll('**', '').matchAll(/\[([^\]]+)\]|\*([^*]+)\*/g)].flatMap(([, label, name]) => {
    if (name !== undefined) return [{ file, name }]
    file = definitions.get(label!)
    return []
  })
}

/** Names of a file's tests as they are written; what is put into one while it runs is an ellipsis. */
async function namesIn (file: string): Promise<string[]> {
  const source = await readFile(file, 'utf8')
  return [...source.matchAll(/\bt\.test\((['`])((?:\\.|(?!\1).)*)\1/g)]
    .map(([, , name]) => name!.replace(/\$\{[^}]*\}/g, '…').replace(/\\(.)/g, '$1'))
}

t.test('every test that it names is there, under that name', async t => {
  let count = 0
  for (const { cells, text } of rows) {
    for (const { file, name } of cells.flatMap(testsOf)) {
      if (file === undefined || !file.endsWith('.test.ts')) t.fail(`no test file before «${name}» in ${text}`)
      else if (!(await namesIn(file)).includes(name)) t.fail(`no test «${name}» in ${file}`)
      count++
    }
  }
  t.ok(count > rows.length, `${count} tests in ${rows.length} rows`)
})

t.test('every file and heading that it links is there, and so are those of SECURITY.md', async t => {
  const linked = [...rows.flatMap(({ text }) => linksOf(text)), ...definitions.values(), ...pathsOf(page, PAGE)]
  for (const path of new Set([...linked, ...pathsOf(await readFile('SECURITY.md', 'utf8'), 'SECURITY.md')])) {
    const [file = '', anchor] = path.split('#')
    await t.resolves(access(file), path)
    if (anchor === undefined) continue
    const headings = [...(await readFile(file, 'utf8')).matchAll(/^#+ (.+)$/gm)]
    t.ok(headings.some(([, text]) => text!.toLowerCase().replace(/[^\w -]/g, '').replaceAll(' ', '-') === anchor), path)
  }
  const text = page.replace(/^\[.+$/gm, '')
  for (const label of definitions.keys()) t.ok(text.includes(`[${label}]`), `${label} is used`)
})

t.test('no row is without its evidence', async t => {
  for (const { cells, text } of rows) {
    const answer = cells[2]
    if (cells.length !== 3 || answer === undefined) {
      t.fail(`not three cells: ${text}`)
      continue
    }
    const verdict = /^\*\*([^*]+)\*\*/.exec(answer)?.[1]?.toLowerCase()
    if (verdict !== undefined) t.ok([...NEEDS_TEST, ...NEEDS_NONE].includes(verdict), `«${verdict}» in ${text}`)
    if (verdict !== undefined && NEEDS_NONE.includes(verdict)) continue
    // A met requirement on documentation is met by a link.
    t.ok(testsOf(answer).length > 0 || (verdict !== undefined && linksOf(answer).length > 0), text)
    if (verdict === undefined) t.ok(linksOf(cells[1]!).length > 0, `no link to the defence: ${text}`)
    const mute = [...answer.matchAll(/\[([^\]]+)\](?!: \*)/g)].filter(([, label]) => definitions.get(label!)?.endsWith('.test.ts'))
    for (const [, label] of mute) t.fail(`[${label}] names no test: ${text}`)
  }
})

t.test('no requirement is left out', async t => {
  const numbers = (section: string): string[] => rows.filter(row => row.section === section).map(({ cells }) => cells[0]!)
  const chapter = (chapter: number, ...sizes: number[]): string[] =>
    sizes.flatMap((size, i) => Array.from({ length: size }, (_, j) => `${chapter}.${i + 1}.${j + 1}`))
  t.same(numbers('V7, sessions'), chapter(7, 3, 4, 2, 5, 3, 2))
  t.same(numbers('V9, self-contained tokens'), chapter(9, 3, 4))
  t.same(numbers('RFC 8725, JSON Web Tokens'), Array.from({ length: 12 }, (_, i) => `3.${i + 1}`))
})

t.test('packages come by their hashes and run nothing when installed', async t => {
  interface Entry { integrity?: string, link?: boolean }
  const { packages } = JSON.parse(await readFile('package-lock.json', 'utf8')) as { packages: Record<string, Entry> }
  const fetched = Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && link !== true)
  const unnamed = fetched.filter(([, { integrity }]) => !/^sha512-/.test(integrity ?? ''))
  t.same(unnamed.map(([path]) => path), [])
  t.match(await readFile('.npmrc', 'utf8'), /^ignore-scripts=true$/m)
  t.match(await readFile('Dockerfile', 'utf8'), /COPY package\.json package-lock\.json \.npmrc \.\/\nRUN npm ci\n/)
  for (const file of await readdir('.github/workflows')) {
    const actions = [...(await readFile(join('.github/workflows', file), 'utf8')).matchAll(/uses: (\S+)/g)].map(([, action]) => action!)
    t.not(actions.length, 0, file)
    t.same(actions.filter(action => !/@[\da-f]{40}$/.test(action)), [], 'actions by commit')
  }
})

t.test('production packages are searched for known weaknesses', async t => {
  const { on, jobs } = parse(await readFile('.github/workflows/dependencies.yml', 'utf8'))
  t.match(on, { push: { branches: ['main'] }, schedule: [{ cron: /\S/ }] })
  t.ok('pull_request' in on)
  t.equal(jobs.audit.steps.at(-1).run, 'npm audit --omit=dev --audit-level=moderate')
  t.match(jobs.review.steps.at(-1), { uses: /^actions\/dependency-review-action@/, with: { 'fail-on-severity': 'moderate' } })
  const { updates } = parse(await readFile('.github/dependabot.yml', 'utf8'))
  t.same(updates[0].directories, ['/', '/bench'], 'every folder with a lock file')
})
