import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { lockFile, machine } from '../support/setup-machine.ts'

/** scripts/setup.mjs twice at once in the same folder, and when it is interrupted or killed. */

/** Waits until `holds` resolves to true. */
async function until (holds: () => Promise<boolean>): Promise<void> {
  while (!await holds()) await sleep(10)
}

const exists = async (file: string): Promise<boolean> => await access(file).then(() => true, () => false)

/** Shell lines that start a child, wait for it, then install. The child keeps the lock while it runs. */
const hanging = (folder: string): string => `sleep 1000 & echo > ${folder}/hangs; wait; ${installed(folder)}`

/** Shell lines that wait for a file `go`, then install. */
const waiting = (folder: string): string => `while [ -d ${folder} ] && [ ! -e ${folder}/go ]; do sleep 0.05; done; ${installed(folder)}`

const installed = (folder: string): string => `mkdir -p ${folder}/node_modules; cp ${folder}/package-lock.json ${folder}/node_modules/.package-lock.json`

t.test('a second command waits for the first, prints the reason, and does not install again', async t => {
  const { start, install, calls, folder } = await machine(t)
  await install('npm', waiting(folder))
  const first = start(['packages'], { npm_lifecycle_event: 'start' })
  await until(async () => (await calls()).length === 1)
  const second = start(['packages'], { npm_lifecycle_event: 'test' })
  await second.prints(`Waiting for npm run start (process ${first.process.pid}): Installing the packages of package-lock.json (npm ci) …\n`)
  await writeFile(join(folder, 'go'), '')
  t.equal(await first.ended, 0)
  t.equal(await second.ended, 0)
  t.equal((await calls()).length, 1)
})

for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]] as const) {
  t.test(`${signal} ends npm and its children; the next command installs again`, async t => {
    const { start, install, calls, folder } = await machine(t)
    await install('npm', hanging(folder))
    const interrupted = start(['packages'])
    await until(async () => await exists(join(folder, 'hangs')))
    interrupted.process.kill(signal)
    t.equal(await interrupted.ended, status)
    await install('npm', installed(folder))
    t.equal(await start(['packages']).ended, 0)
    t.equal((await calls()).length, 2)
  })
}

t.test('a killed npm ci does not count as complete', async t => {
  const { setup, install, calls, folder } = await machine(t)
  await mkdir(join(folder, 'node_modules'))
  for (const left of ['', `echo '${lockFile({ tap: '20.0.0' })}' > ${folder}/node_modules/.package-lock.json;`]) {
    await install('npm', `${left} kill -9 $$`)
    t.equal(setup(['packages']).status, 1)
  }
  await install('npm', installed(folder))
  t.equal(setup(['packages']).status, 0)
  t.equal((await calls()).length, 3)
})

t.test('the installation ends when its parent process is killed', async t => {
  const { start, startInShell, install, calls, folder } = await machine(t)
  await install('npm', hanging(folder))
  const shell = startInShell(['packages'])
  await until(async () => await exists(join(folder, 'hangs')))
  shell.process.kill('SIGKILL')
  await shell.ended
  await install('npm', installed(folder))
  t.equal(await start(['packages']).ended, 0)
  t.equal((await calls()).length, 2)
})

t.test('a killed command blocks others only until the npm that it started has ended', async t => {
  const { start, install, calls, folder } = await machine(t)
  await install('npm', waiting(folder))
  const killed = start(['packages'])
  await until(async () => (await calls()).length === 1)
  killed.process.kill('SIGKILL')
  t.equal(await killed.ended, 'SIGKILL')
  const second = start(['packages'])
  await second.prints('Waiting for npm run setup (process ')
  await writeFile(join(folder, 'go'), '')
  t.equal(await second.ended, 0)
  t.equal((await calls()).length, 1, 'npm is not run again')
  await rm(join(folder, 'node_modules'), { recursive: true })
  t.equal(await start(['packages']).ended, 0)
  t.equal((await calls()).length, 2)
})

t.test('an interrupt lets a package manager end its step, also as root through sudo', async t => {
  for (const uid of [0, 1000]) {
    const { start, install, calls, folder } = await machine(t)
    await install('sudo', 'shift; case $1 in true) ;; kill) "$@";; *) exec "$@";; esac')
    await install('apt-get', `trap 'echo "the step ended" >> ${folder}/calls; exit 0' INT; echo > ${folder}/hangs; while [ -d ${folder} ]; do sleep 0.05; done`)
    const { process, ended } = start(['nginx'], {}, uid)
    await until(async () => await exists(join(folder, 'hangs')))
    process.kill('SIGINT')
    t.equal(await ended, 130)
    t.same((await calls()).filter(call => !call.startsWith('sudo')), ['apt-get update', 'the step ended'])
    t.equal((await calls()).filter(call => /^sudo -n kill -s INT -- -\d+$/.test(call)).length, uid === 0 ? 0 : 1)
  }
})
