import { lstatSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.mjs'
import { announce } from './lock.mjs'

/** Runs `npm ci` in a folder, unless all packages of its lock file are installed, development packages included. */
export async function installPackages (folder) {
  const modules = join(folder, 'node_modules')
  const lockFile = join(folder, 'package-lock.json')
  // A linked node_modules belongs to another folder, and npm ci would first remove its packages.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  // npm writes this file last, so an interrupted npm ci leaves no file, or the old one that did not match before.
  const installed = packagesOf(join(modules, '.package-lock.json'))
  const isInstalled = ([path, { version, optional, devOptional }]) =>
    path === '' || optional || devOptional || installed?.[path]?.version === version
  if (installed !== undefined && Object.entries(packagesOf(lockFile)).every(isInstalled)) return
  announce(`Installing the packages of ${lockFile} (npm ci) …`)
  await run(`npm ci${folder === '.' ? '' : ` --prefix ${folder}`} --include=dev --no-audit --no-fund --loglevel=error`)
}

/** Runs `tap build`, unless the last build was for this .taprc. npm ci removes both the build and the mark. */
export async function buildTap () {
  const mark = 'node_modules/.tap-built'
  const settings = readFileSync('.taprc', 'utf8')
  if (read(mark) === settings) return
  announce('Building tap with the plugins of .taprc (tap build) …')
  await run('tap build', { env: { PATH: `node_modules/.bin:${process.env.PATH}` } })
  writeFileSync(mark, settings)
}

function packagesOf (lockFile) {
  const text = read(lockFile)
  return text && JSON.parse(text).packages
}

function read (file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
