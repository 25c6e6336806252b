import type { ContenderName } from '../harness/contenders.ts'
import { assertSameRecord, writeRecords } from '../harness/records.ts'
import { onStage, type Player } from '../harness/stage.ts'
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
  const { contenders, memoryUsers: users } = settings
  return await onStage(settings, contenders.filter(name => name !== 'ceiling'), async ({ players, machine }) => {
    const results: MemoryResults = {}
    for (const player of players) {
      // Fewer users for the others, because their sessions are opened one by one.
      const result = player.name === 'ours' ? await ofOurs(player, users) : await ofOther(player, Math.ceil(users / 20))
      results[player.name] = result
      report(`${player.name.padEnd(14)} ${result.perUser.toFixed(0)} bytes a user with one session` +
        (result.perUserLong === undefined ? '' : ` (${result.perUserLong.toFixed(0)} with a long e-mail address)`) +
        (result.perFurtherSession === undefined ? '' : `, ${result.perFurtherSession.toFixed(0)} for each further one`))
    }
    return { machine, results }
  })
}

async function ofOurs (player: Player, users: number): Promise<MemoryOf> {
  const { redis: { client } } = player
  await assertSameRecord(player, client)
  const grown = async (sessionsEach: number, email = EMAIL): Promise<number> => {
    await client.flushall()
    return await growth(player, async () => { await writeRecords(client, 1, users, sessionsEach, Infinity, () => email) }) / users
  }
  const perUser = await grown(1)
  return {
    users,
    perUser,
    perUserLong: await grown(1, LONG_EMAIL),
    perFurtherSession: (await grown(SESSIONS_EACH) - perUser) / (SESSIONS_EACH - 1)
  }
}

async function ofOther (player: Player, users: number): Promise<MemoryOf> {
  await player.open(users + 1, 1)
  return { users, perUser: await growth(player, async () => { await player.open(1, users) }) / users }
}

/** Returns the bytes that an action adds to Redis's memory. The append-only file is off, so that its buffers don't count. */
async function growth ({ redis: { client, info } }: Player, act: () => Promise<void>): Promise<number> {
  await client.config('SET', 'appendonly', 'no')
  const before = (await info()).memory
  await act()
  await client.memory('PURGE')
  return (await info()).memory - before
}
