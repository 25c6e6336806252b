import { readFile, writeFile } from 'node:fs/promises'

// `npm run release:changelog`: gives the entries of `[Unreleased]` the version of package.json and today's date. It changes nothing when
// the changelog has the version. The release workflow runs it on the branch of the release.

const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
const changelog = await readFile('CHANGELOG.md', 'utf8')
if (!changelog.includes(`## [${version}]`)) {
  const today = new Date().toISOString().slice(0, 10)
  await writeFile('CHANGELOG.md', changelog.replace('## [Unreleased]\n', `## [Unreleased]\n\n## [${version}] - ${today}\n`))
}
