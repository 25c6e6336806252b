import { spawnSync } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { tempFolder } from './support/helper.ts'

/**
 * package-lock.json, checked without the overrides of package.json, which silence npm. They hold packages at the last versions
 * whose own dependencies run on Node 20; drop them with Node 20.
 */

t.test('every production package is within the ranges that its dependents ask for, and runs on this Node', async t => {
  const folder = await tempFolder(t)
  const { overrides, ...manifest } = JSON.parse(await readFile('package.json', 'utf8'))
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  await cp('package-lock.json', join(folder, 'package-lock.json'))
  // No network is needed: neither command fetches a package.
  for (const command of ['ls --package-lock-only --all', 'ci --dry-run --engine-strict --ignore-scripts']) {
    const { status, stderr } = spawnSync('npm', [...command.split(' '), '--omit=dev', '--offline'], { cwd: folder, encoding: 'utf8' })
    t.equal(status, 0, stderr)
  }
})
