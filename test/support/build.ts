import { execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join, resolve } from 'node:path'

/**
 * Gives a folder the installed packages. A link for each, so that a package of the folder itself can take the place of one, and so that
 * Node finds the folder's own package.json first.
 */
export async function linkPackages (folder: string): Promise<void> {
  await mkdir(join(folder, 'node_modules'))
  for (const name of await readdir('node_modules')) await symlink(resolve('node_modules', name), join(folder, 'node_modules', name))
}

/**
 * Gives a folder, which has the sources, the compiled service, as `npm run compile` does. Compiled tests save the time: they copy the
 * service that was compiled with them.
 */
export async function putBuild (folder: string): Promise<void> {
  if (import.meta.url.endsWith('.js')) {
    for (const name of ['src', 'plugins', 'routes', 'package.json']) await cp(`dist/${name}`, join(folder, 'dist', name), { recursive: true })
    return
  }
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'))
  execFileSync('sh', ['-c', scripts.compile], { cwd: folder, env: { PATH: `${resolve('node_modules/.bin')}:${process.env.PATH}` } })
}
