/** The rules of a release. Each is a function from files to sentences about mistakes. scripts/release/check.ts applies them. */

export interface Manifest {
  name: string
  version: string
  private?: boolean
  license?: string
  workspaces?: string[]
  scripts?: Record<string, string>
  bin?: Record<string, string>
  [key: string]: unknown
}

/** A packed file, with its text if it is code. */
export interface PackedFile { path: string, mode: number, text?: string }

/** Everything that a package may contain. An allow-list: a new kind of file needs a decision. */
const ALLOWED = /^(package\.json|README\.md|LICENSE|dist\/(.+\.(js|d\.ts|lua|css)|package\.json|LICENSE))$/
const FORBIDDEN = /(^|\/)(test|bench|scripts|node_modules)\/|\.test\.js$/

/** All packages have one version, which release-please knows and raises in every file: `raised` has paths, in which `*` is a folder. */
export function * versionMistakes (manifests: Record<string, Manifest>, released: string, raised: string[]): Generator<string> {
  const { version } = manifests['.']!
  for (const [folder, manifest] of Object.entries(manifests)) {
    if (manifest.version !== version) yield `${manifest.name} has version ${manifest.version}, and the service ${version}.`
    if (manifest.private === true) yield `${manifest.name} is private: it can't be published.`
    if (manifest.license === undefined) yield `${manifest.name} has no license.`
    const file = `${folder}/package.json`
    const isRaised = raised.some(path => new RegExp(`^${path.replaceAll('.', '\\.').replaceAll('*', '[^/]+')}$`).test(file))
    if (folder !== '.' && !isRaised) yield `release-please-config.json does not raise the version of ${file}: add it to extra-files.`
  }
  // 0.0.0: nothing was released yet.
  if (released !== version && released !== '0.0.0') yield `.release-please-manifest.json has version ${released}, and the service ${version}.`
}

interface Lock { packages: Record<string, Record<string, unknown>> }

/** The lock file has the versions of the packages and the ranges of their dependencies. */
export function * lockMistakes (manifests: Record<string, Manifest>, lock: Lock): Generator<string> {
  for (const [folder, manifest] of Object.entries(manifests)) {
    const entry = lock.packages[folder === '.' ? '' : folder]
    for (const key of ['version', 'dependencies', 'devDependencies', 'peerDependencies', 'workspaces', 'bin', 'engines']) {
      if (text(entry?.[key]) !== text(manifest[key])) yield `package-lock.json has another ${key} of ${manifest.name}: run npm install.`
    }
  }
}

/** JSON with sorted keys: npm sorts the names of packages. */
function text (value: unknown): string {
  return JSON.stringify(value, (_key, item) =>
    item !== null && typeof item === 'object' && !Array.isArray(item) ? Object.fromEntries(Object.entries(item).sort()) : item) ?? ''
}

/** The changelog has a section of the version. Before its release, the section `[Unreleased]` with a line in it is enough. */
export function * changelogMistakes (changelog: string, version: string, isReleased: boolean): Generator<string> {
  const sections = new Map(changelog.split(/^## /m).slice(1).map(section => [section.slice(0, section.indexOf('\n')), section]))
  const isNamed = [...sections.keys()].some(heading => heading.startsWith(`[${version}] - `))
  if (!isNamed && isReleased) yield `CHANGELOG.md has no section "## [${version}] - <date>".`
  if (!isNamed && !/^- /m.test(sections.get('[Unreleased]') ?? '')) yield 'CHANGELOG.md has no line in its section "## [Unreleased]".'
}

/** A package contains only allowed files, with working code and no trace of tests and source maps; its commands can run. */
export function * packMistakes ({ name, bin = {} }: Pick<Manifest, 'name' | 'bin'>, files: PackedFile[]): Generator<string> {
  for (const { path, text = '' } of files) {
    if (!ALLOWED.test(path) || FORBIDDEN.test(path)) yield `${name} contains ${path}.`
    if (/^\/\/# sourceMappingURL=/m.test(text)) yield `${name} names a source map in ${path}, which it does not contain.`
  }
  for (const path of ['package.json', 'README.md']) {
    if (!files.some(file => file.path === path)) yield `${name} lacks ${path}.`
  }
  if (!files.some(({ path }) => /(^|\/)LICENSE$/.test(path))) yield `${name} lacks its LICENSE.`
  for (const path of Object.values(bin)) {
    const file = files.find(file => file.path === path)
    if (file === undefined) yield `${name} lacks its command ${path}.`
    else if ((file.mode & 0o111) === 0 || !file.text!.startsWith('#!/usr/bin/env node\n')) yield `${name} has a command that can't run: ${path}.`
  }
}

interface Workflow { on?: unknown, jobs?: Record<string, { needs?: string | string[], steps?: Array<{ uses?: string, run?: string }> }> }

/** A workflow is complete: its jobs exist, its actions are pinned by commit, and its npm scripts exist. */
export function * workflowMistakes (name: string, { on, jobs = {} }: Workflow, scripts: Record<string, string>): Generator<string> {
  if (on === undefined || Object.keys(jobs).length === 0) yield `${name} has no trigger or no job.`
  for (const [job, { needs = [], steps = [] }] of Object.entries(jobs)) {
    for (const needed of [needs].flat()) if (!(needed in jobs)) yield `${name}: ${job} needs ${needed}, which does not exist.`
    if (steps.length === 0) yield `${name}: ${job} has no steps.`
    for (const { uses, run = '' } of steps) {
      if (uses !== undefined && !/^[\w/-]+@[\da-f]{40}$/.test(uses)) yield `${name}: ${uses} is not pinned by its commit.`
      for (const [, script] of run.matchAll(/npm run ([\w:-]+)/g)) {
        if (!(script! in scripts)) yield `${name}: there is no script ${script}.`
      }
    }
  }
}
