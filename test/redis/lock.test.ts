import { once } from 'node:events'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { LockedError, takeLock } from '../../src/redis/lock.ts'
import { tempFolder } from '../helper.ts'

t.test('one holder at a time, and it is named', async t => {
  const path = join(await tempFolder(t), 'lock')
  const lock = await takeLock(path)
  await t.rejects(takeLock(path), new LockedError(String(process.pid)))
  lock.close()
  await once(lock, 'close')
  const next = await takeLock(path)
  next.close()
})

t.test('what a killed holder left behind does not count', async t => {
  const folder = await tempFolder(t)
  const path = join(folder, 'lock')
  await writeFile(path, '')
  const locks = await Promise.allSettled([takeLock(path), takeLock(path), takeLock(path)])
  t.equal(locks.filter(({ status }) => status === 'fulfilled').length, 1, 'and one of several takes it over')
  t.same(await readdir(folder), ['lock'])
  for (const lock of locks) if (lock.status === 'fulfilled') lock.value.close()
})

t.test('a folder that can\'t be written to is its own error', async t => {
  await t.rejects(takeLock('/nonexistent/lock'), { code: 'EACCES' })
})
