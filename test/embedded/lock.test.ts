import { once } from 'node:events'
import { readdir, symlink, utimes, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { LockedError, takeLock } from '#src/embedded/lock'
import { tempFolder } from '../support/helper.ts'
import { spawnNode } from '../support/processes.ts'

/** Processes that take one lock: each says what became of it, and keeps it until its input ends. */
function contend (t: Test, folder: string): { said: Promise<string>, kill: (signal: 'SIGKILL' | 'SIGSTOP') => Promise<void> } {
  const child = spawnNode(['test/support/fixtures/lock.ts', folder], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => { child.kill('SIGKILL') })
  return {
    said: once(createInterface(child.stdout!), 'line').then(([line]) => String(line)),
    kill: async signal => {
      const gone = once(child, 'exit')
      child.kill(signal)
      if (signal === 'SIGKILL') await gone
    }
  }
}

t.test('one holder at a time, and it is named', async t => {
  const folder = await tempFolder(t)
  const release = await takeLock(folder)
  await t.rejects(takeLock(folder), new LockedError(String(process.pid)))
  await release()
  t.same(await readdir(folder), [])
  await (await takeLock(folder))()
})

t.test('of many at once exactly one gets it, and the dead one before them does not count', async t => {
  const folder = await tempFolder(t)
  for (let round = 0; round < 5; round++) {
    const contenders = Array.from({ length: 5 }, () => contend(t, folder))
    const said = await Promise.all(contenders.map(async ({ said }) => await said))
    t.equal(said.filter(word => word === 'taken').length, 1, said.join(', '))
    t.equal(said.filter(word => /^held by process \d+$/.test(word)).length, 4)
    // All die holding what they hold: the next round finds a socket that nobody listens on.
    await Promise.all(contenders.map(async ({ kill }) => await kill('SIGKILL')))
  }
  await (await takeLock(folder))()
  t.same(await readdir(folder), [], 'and nothing is left of them')
})

t.test('within one process too', async t => {
  const folder = await tempFolder(t)
  const locks = await Promise.allSettled(Array.from({ length: 20 }, async () => await takeLock(folder)))
  t.equal(locks.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const lock of locks) if (lock.status === 'fulfilled') await lock.value()
})

t.test('a holder that is stopped holds it all the same', async t => {
  const folder = await tempFolder(t)
  const holder = contend(t, folder)
  t.equal(await holder.said, 'taken')
  await holder.kill('SIGSTOP')
  await t.rejects(takeLock(folder), new LockedError('unknown'))
})

t.test('a claimant that ends while it is asked is no holder', async t => {
  const folder = await tempFolder(t)
  const ending = createServer(socket => {
    socket.destroy()
    ending.close()
  }).listen(join(folder, 'lock-00000000'))
  await once(ending, 'listening')
  await (await takeLock(folder))()
})

t.test('whoever connects and goes away does no harm', async t => {
  const folder = await tempFolder(t)
  const release = await takeLock(folder)
  const [name] = await readdir(folder)
  for (let i = 0; i < 50; i++) {
    const socket = connect(join(folder, name!))
    socket.on('error', () => {})
    await once(socket, 'connect')
    socket.destroy()
  }
  await t.rejects(takeLock(folder), new LockedError(String(process.pid)))
  await release()
})

t.test('what a claimant left that was killed before it showed itself is removed, and nothing else', async t => {
  const folder = await tempFolder(t)
  for (const name of ['01234567', '89abcdef', 'redis.log']) await writeFile(join(folder, name), '')
  await symlink('gone', join(folder, 'ffffffff'))
  for (const name of ['01234567', 'redis.log']) await utimes(join(folder, name), 1, 1)
  const release = await takeLock(folder)
  await release()
  t.same((await readdir(folder)).sort(), ['89abcdef', 'ffffffff', 'redis.log'])
})

t.test('a folder that is not there is its own error', async t => {
  await t.rejects(takeLock('/nonexistent'), { code: /EACCES|ENOENT/ })
})
