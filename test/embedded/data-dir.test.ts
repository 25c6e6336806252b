import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { loadConfig } from '#src/config/environment'
import { inDataDir, shellWord } from '#src/config/data-dir'
import { readDevelopmentSecrets, withDevelopmentSecrets } from '#src/config/development-secrets'
import { planEmbeddedRedis, startEmbeddedRedis } from '#src/embedded/embedded'
import { cli, productionSecrets, run } from '../cli/helper.ts'
import { spawnService, startRedis, tempFolder } from '../support/helper.ts'

/** A DATA_DIR that can't be used: one sentence that names it, the problem and the way out, from the service and from the command line. */

const isRoot = process.getuid!() === 0
const nobody = 65534

/** What a start with this DATA_DIR prints; it has to fail. */
async function refused (t: Test, DATA_DIR: string, env: Record<string, string> = {}): Promise<string[]> {
  const { errors, exited } = spawnService(t, { DATA_DIR, ...env })
  t.same(await exited, [1, null])
  return errors
}

/** Mounts a file system in memory. */
function mount (t: Pick<Test, 'teardown'>, folder: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' })
  t.teardown(() => { execFileSync('umount', ['-l', folder]) })
}

const noMount = await tempFolder(t).then(folder => mount(t, folder, 'ro')).then(() => false as const, () => 'needs the right to mount')

t.test('a file in the place of the folder', async t => {
  const file = join(await tempFolder(t), 'data')
  await writeFile(file, '')
  const sentence = (at: string): RegExp => new RegExp(`^DATA_DIR ${file} can't be used: a file is in the place of a folder, at ${at} or above\\. Move the file away, or set DATA_DIR to another folder\\.`)
  t.match(await refused(t, file), [sentence(file)])
  t.match(await cli(t, ['stats'], { DATA_DIR: file }), { code: 1, stdout: '', stderr: sentence(`${file}/redis/redis.sock`) })
})

t.test('a folder of root, for somebody else', { skip: !isRoot && 'needs root to become somebody else' }, async t => {
  const folder = await tempFolder(t)
  await chmod(folder, 0o755)
  const dataDir = join(folder, 'data dir')
  await mkdir(dataDir, { mode: 0o700 })
  const start = async (dataDir: string): Promise<string> => {
    process.seteuid!(nobody)
    try {
      return await withDevelopmentSecrets({ ...loadConfig({}), DATA_DIR: dataDir }).then(() => 'started', err => err.message)
    } finally {
      process.seteuid!(0)
    }
  }
  t.equal(await start(dataDir), `DATA_DIR ${dataDir} can't be used: it belongs to user 0, perhaps since a start as that user, and this process runs as user ${nobody}. Give it back with: sudo chown -R ${nobody} '${dataDir}'`)
  await chown(dataDir, nobody, nobody)
  await chmod(dataDir, 0o500)
  t.match(await start(dataDir), new RegExp(`^DATA_DIR ${dataDir} can't be used: user ${nobody} has no permission for ${dataDir}/secrets\\.env\\.\\w+\\. Grant it, or set DATA_DIR to a folder of this user\\.$`))
  await chmod(folder, 0o500)
  t.match(await start(join(folder, 'other')), `DATA_DIR ${folder}/other can't be used: user ${nobody} has no permission for`)
})

t.test('a folder of Redis where no socket may be made', async t => {
  const dataDir = await tempFolder(t)
  await chmod(dataDir, 0o755)
  await mkdir(join(dataDir, 'redis'))
  await chmod(join(dataDir, 'redis'), 0o555)
  const plan = await planEmbeddedRedis(dataDir)
  if (isRoot) process.seteuid!(nobody)
  try {
    await t.rejects(startEmbeddedRedis(plan, pino({ level: 'silent' })), { name: 'StartError', message: new RegExp(`^DATA_DIR ${dataDir} can't be used: `) })
  } finally {
    if (isRoot) process.seteuid!(0)
  }
})

t.test('a full disk: nothing is left behind', { skip: noMount }, async t => {
  const disk = await tempFolder(t)
  mount(t, disk, 'size=64k')
  const dataDir = join(disk, 'data')
  const sentence = `DATA_DIR ${dataDir} can't be used: its disk is full. Free some space, or set DATA_DIR to a folder on another disk.`
  await mkdir(dataDir)
  const fill = (): void => { spawnSync('dd', ['if=/dev/zero', `of=${disk}/filler`, 'bs=4k']) }
  fill()
  t.same(await refused(t, dataDir), [sentence])
  t.same(await readdir(dataDir), [])
  execFileSync('rm', [`${disk}/filler`])
  await withDevelopmentSecrets({ ...loadConfig({}), DATA_DIR: dataDir })
  fill()
  t.same(await refused(t, dataDir), [sentence], 'also when only Redis has no room')
})

t.test('a read-only disk', { skip: noMount }, async t => {
  const disk = await tempFolder(t)
  mount(t, disk, 'ro')
  for (const dataDir of [disk, join(disk, 'deep', 'data')]) {
    t.same(await refused(t, dataDir), [`DATA_DIR ${dataDir} can't be used: its file system is read-only. Set DATA_DIR to a folder that can be written.`])
  }
})

t.test('a file system that does not answer: the process ends all the same', async t => {
  const dataDir = await tempFolder(t)
  // To open a pipe takes until somebody opens its other end.
  execFileSync('mkfifo', [join(dataDir, 'secrets.env')])
  const { errors, exited } = spawnService(t, { DATA_DIR: dataDir })
  const env = { ...productionSecrets(), REDIS_URL: 'redis://127.0.0.1:1', DATA_DIR: dataDir }
  const doctor = cli(t, ['doctor'], env)
  const sentence = `DATA_DIR ${dataDir} can't be used: its file system does not answer. Mount it again, or set DATA_DIR to a folder on a local disk.`
  const inProcess = t.rejects(run(['doctor'], env), { message: sentence })
  t.same(await exited, [null, 'SIGKILL'], 'process.exit would wait for the file')
  t.same(errors, [sentence])
  t.match(await doctor, { code: null, stderr: `${sentence}\n` })
  await inProcess
  await writeFile(join(dataDir, 'secrets.env'), '') // lets this process end
})

t.test('secrets that doctor may not read are none of the service', async t => {
  const DATA_DIR = await tempFolder(t)
  await mkdir(join(DATA_DIR, 'secrets.env'), { mode: 0o700 })
  const { url } = await startRedis(t)
  const { json } = await run(['doctor'], { ...productionSecrets(), REDIS_URL: url, DATA_DIR })
  t.match(json.checks.find(({ name }: { name: string }) => name === 'secrets'), { status: 'ok' })
  await t.rejects(readDevelopmentSecrets(DATA_DIR), { message: `DATA_DIR ${DATA_DIR} can't be used: EISDIR: illegal operation on a directory, read. Set DATA_DIR to another folder.` })
})

t.test('other refusals of the system', async t => {
  const sentence = async (code: string, syscall?: string): Promise<string> =>
    await inDataDir('/d', async () => { throw Object.assign(new Error(`${code}: x`), { code, ...(syscall === undefined ? {} : { syscall }) }) }).catch(err => err.message)
  t.equal(await sentence('EOPNOTSUPP', 'listen'), "DATA_DIR /d can't be used: its file system has no unix sockets. Set DATA_DIR to a folder on a local disk.")
  t.equal(await sentence('EPERM', 'link'), "DATA_DIR /d can't be used: its file system has no hard links. Set DATA_DIR to a folder on a local disk.")
  t.equal(await sentence('EIO', 'open'), "DATA_DIR /d can't be used: EIO: x. Set DATA_DIR to another folder.")
  t.match(await sentence('ENOENT', 'mkdir'), isRoot ? "DATA_DIR /d can't be used: ENOENT: x. Set DATA_DIR to another folder." : /permission/)
  t.equal(await sentence('ERR_X'), 'ERR_X: x', 'what is no refusal stays as it is')
  t.same(['/a/b-c.d', "it's a b"].map(shellWord), ['/a/b-c.d', "'it'\\''s a b'"])
})
