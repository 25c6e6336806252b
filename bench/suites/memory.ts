import type { ContenderName } from '../harness/contenders.ts'
import { assertSameRecord, writeRecords } from '../harness/records.ts'
import { withEnvironment, type Contender } from '../harness/environment.ts'
import type { Report, Settings } from '../settings.ts'

/** Bytes of Redis memory, including the tables of keys and expiries. */
export interface MemoryOf {
  users: number
  perUser: number
  /** Bytes a user with an e-mail address of 32 characters: Redis allocates in steps. */
  perUserLong?: number
  /** Bytes of each session beyond a user's first. */
  perFurtherSession?: number
}

export type MemoryResults = Partial<Record<ContenderName, MemoryOf>>

const SESSIONS_EACH = 5

/** The e-mail address of the endpoint's documentation, and a long one. */
const [EMAIL, LONG_EMAIL] = ['guest@keygenqt.com', `${'long'.repeat(5)}@example.com`]

export async function memory (settings: Settings, report: Report) {
  const { memoryUsers: users } = settings
  // better-auth stores the same rows with a reuse interval.
  const names = settings.contenders.filter(name => name !== 'ceiling' && name !== 'better-auth-reuse')
  return await withEnvironment(settings, names, async ({ contenders, machine }) => {
    const results: MemoryResults = {}
    for (const contender of contenders) {
      // Fewer users for the others, because their sessions are opened one by one.
      const result = contender.name === 'ours' ? await ofOurs(contender, users) : await ofOther(contender, Math.ceil(users / 20))
      results[contender.name] = result
      report(`${contender.name.padEnd(14)} ${result.perUser.toFixed(0)} bytes a user with one session` +
        (result.perUserLong === undefined ? '' : ` (${result.perUserLong.toFixed(0)} with a long e-mail address)`) +
        (result.perFurtherSession === undefined ? '' : `, ${result.perFurtherSession.toFixed(0)} for each further one`))
    }
    return { machine, results }
  })
}

async function ofOurs (contender: Contender, users: number): Promise<MemoryOf> {
  const { redis: { client } } = contender
  await assertSameRecord(contender, client)
  const grown = async (sessionsEach: number, email = EMAIL): Promise<number> => {
    await client.flushall()
    return await growth(contender, async () => { await writeRecords(client, 1, users, sessionsEach, Infinity, () => email) }) / users
  }
  const perUser = await grown(1)
  return {
    users,
    perUser,
    perUserLong: await grown(1, LONG_EMAIL),
    perFurtherSession: (await grown(SESSIONS_EACH) - perUser) / (SESSIONS_EACH - 1)
  }
}

async function ofOther (contender: Contender, users: number): Promise<MemoryOf> {
  await contender.open(users + 1, 1)
  return { users, perUser: await growth(contender, async () => { await contender.open(1, users) }) / users }
}

/** Returns the bytes that an action adds to Redis's memory. The append-only file is off, so that its buffers don't count. */
async function growth ({ redis: { client, info } }: Contender, act: () => Promise<void>): Promise<number> {
  await client.config('SET', 'appendonly', 'no')
  const before = (await info()).memory
  await act()
  await client.memory('PURGE')
  return (await info()).memory - before
}
