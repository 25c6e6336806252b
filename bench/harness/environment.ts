import type { Settings } from '../settings.ts'
import { sampleAnswer, startContender, startOurs, type ContenderName, type Service } from './contenders.ts'
import { startLoad, type Load } from './load.ts'
import { describeMachine, type Machine } from './machine.ts'
import { startRedis, type PrivateRedis } from './redis.ts'

/** The processes of a suite. */
export interface BenchEnvironment {
  load: Load
  machine: Machine
  contenders: Contender[]
}

/** A running contender with its own Redis. */
export interface Contender extends Service {
  redis: PrivateRedis
}

/** Starts the load generator and all contenders, so that their rounds can take turns, runs `suite`, and ends everything. */
export async function withEnvironment<T> (
  { acceptUnavailable }: Settings, names: ContenderName[], suite: (environment: BenchEnvironment) => Promise<T>
): Promise<T> {
  const ends: Array<() => Promise<void>> = []
  try {
    const load = startLoad(acceptUnavailable)
    ends.push(load.stop)
    const contenders: Contender[] = []
    for (const name of names) {
      const redis = await startRedis()
      ends.push(redis.stop)
      const answer = name === 'ceiling' ? await ourAnswer(contenders.find(({ name }) => name === 'ours')) : ''
      const service = await startContender(name, redis.url, answer)
      ends.push(service.stop)
      contenders.push({ ...service, redis })
    }
    const { version } = await contenders[0]!.redis.info()
    return await suite({ load, contenders, machine: describeMachine(version) })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function ourAnswer (ours: Contender | undefined): Promise<string> {
  if (ours !== undefined) return await sampleAnswer(ours)
  const redis = await startRedis()
  const service = await startOurs(redis.url)
  try {
    return await sampleAnswer(service)
  } finally {
    await service.stop()
    await redis.stop()
  }
}

/** Rotates the list by one position each round, so that each contender comes first in some round. */
export function rotated<T> (list: T[], round: number): T[] {
  const start = round % list.length
  return [...list.slice(start), ...list.slice(0, start)]
}
