import { lstatSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './command.mjs'
import { announce } from './lock.mjs'

/** Runs `npm ci` in a folder, unless npm finished installing its lock file, and that has not changed since. */
export async function installPackages (folder) {
  const modules = join(folder, 'node_modules')
  const lockFile = join(folder, 'package-lock.json')
  // Packages behind a link belong to another folder, and npm ci would remove them first.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  // npm writes it last.
  const mark = join(modules, '.package-lock.json')
  const installed = statSync(mark, { throwIfNoEntry: false })
  if (installed !== undefined && installed.mtimeMs >= statSync(lockFile).mtimeMs) return
  announce(`Installing the packages of ${lockFile} (npm ci) …`)
  // npm ci removes it among the others; an interrupt in between must not leave it.
  rmSync(mark, { force: true })
  await run(`npm ci${folder === '.' ? '' : ` --prefix ${folder}`} --include=dev --no-audit --no-fund --loglevel=error`)
}

/** Runs `tap build`, unless it was done for this .taprc. npm ci removes both the build and the mark. */
export async function buildTap () {
  const mark = 'node_modules/.tap-built'
  const settings = readFileSync('.taprc', 'utf8')
  if (read(mark) === settings) return
  announce('Building tap with the plugins of .taprc (tap build) …')
  await run('tap build')
  writeFileSync(mark, settings)
}

function read (file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
