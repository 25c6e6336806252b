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

/** For an unusable DATA_DIR, the service and the command line print one sentence with its path, the problem and a remedy. */

const isRoot = process.getuid!() === 0
const nobody = 65534

/** Asserts that a start with this DATA_DIR fails, and returns its error output. */
async function refused (t: Test, DATA_DIR: string, env: Record<string, string> = {}): Promise<string[]> {
  const { errors, exited } = spawnService(t, { DATA_DIR, ...env })
  t.same(await exited, [1, null])
  return errors
}

/** Mounts a tmpfs. */
function mount (t: Pick<Test, 'teardown'>, folder: string, options: string): void {
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], { stdio: 'ignore' })
  t.teardown(() => { execFileSync('umount', ['-l', folder]) })
}

const noMount = await tempFolder(t).then(folder => mount(t, folder, 'ro')).then(() => false as const, () => 'needs the right to mount')

t.test('rejects a DATA_DIR that is a file', async t => {
  const file = join(await tempFolder(t), 'data')
  await writeFile(file, '')
  const sentence = (at: string): RegExp => new RegExp(`^DATA_DIR ${file} can't be used: a file is in the place of a folder, at ${at} or above\\. Move the file away, or set DATA_DIR to another folder\\.`)
  t.match(await refused(t, file), [sentence(file)])
  t.match(await cli(t, ['stats'], { DATA_DIR: file }), { code: 1, stdout: '', stderr: sentence(`${file}/redis/redis.sock`) })
})

t.test('rejects a folder of another user, or without write permission', { skip: !isRoot && 'needs root to become somebody else' }, async t => {
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

t.test('rejects a read-only folder of the embedded Redis', async t => {
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

t.test('rejects a full disk and leaves no file behind', { skip: noMount }, async t => {
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
  t.same(await refused(t, dataDir), [sentence], 'also when the secrets exist and only Redis has no room')
})

t.test('rejects a read-only disk', { skip: noMount }, async t => {
  const disk = await tempFolder(t)
  mount(t, disk, 'ro')
  for (const dataDir of [disk, join(disk, 'deep', 'data')]) {
    t.same(await refused(t, dataDir), [`DATA_DIR ${dataDir} can't be used: its file system is read-only. Set DATA_DIR to a folder that can be written.`])
  }
})

t.test('the process ends when the file system does not answer', async t => {
  const dataDir = await tempFolder(t)
  // Opening a pipe blocks until its other end is opened.
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

t.test('doctor passes the check of secrets when it can\'t read the development secrets', async t => {
  const DATA_DIR = await tempFolder(t)
  await mkdir(join(DATA_DIR, 'secrets.env'), { mode: 0o700 })
  const { url } = await startRedis(t)
  const { json } = await run(['doctor'], { ...productionSecrets(), REDIS_URL: url, DATA_DIR })
  t.match(json.checks.find(({ name }: { name: string }) => name === 'secrets'), { status: 'ok' })
  await t.rejects(readDevelopmentSecrets(DATA_DIR), { message: `DATA_DIR ${DATA_DIR} can't be used: EISDIR: illegal operation on a directory, read. Set DATA_DIR to another folder.` })
})

t.test('describes other system errors', async t => {
  const sentence = async (code: string, syscall?: string): Promise<string> =>
    await inDataDir('/d', async () => { throw Object.assign(new Error(`${code}: x`), { code, ...(syscall === undefined ? {} : { syscall }) }) }).catch(err => err.message)
  t.equal(await sentence('EOPNOTSUPP', 'listen'), "DATA_DIR /d can't be used: its file system has no unix sockets. Set DATA_DIR to a folder on a local disk.")
  t.equal(await sentence('EPERM', 'link'), "DATA_DIR /d can't be used: its file system has no hard links. Set DATA_DIR to a folder on a local disk.")
  t.equal(await sentence('EIO', 'open'), "DATA_DIR /d can't be used: EIO: x. Set DATA_DIR to another folder.")
  t.match(await sentence('ENOENT', 'mkdir'), isRoot ? "DATA_DIR /d can't be used: ENOENT: x. Set DATA_DIR to another folder." : /permission/)
  t.equal(await sentence('ERR_X'), 'ERR_X: x', 'other errors stay as they are')
  t.same(['/a/b-c.d', "it's a b"].map(shellWord), ['/a/b-c.d', "'it'\\''s a b'"])
})
