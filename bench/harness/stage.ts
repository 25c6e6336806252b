import { sampleAnswer, startContender, startOurs, type ContenderName, type Service } from './contenders.ts'
import { startLoad, type Load } from './load.ts'
import { describeMachine, type Machine } from './machine.ts'
import { startRedis, type PrivateRedis } from './redis.ts'
import type { Settings } from '../settings.ts'

/** The processes of a part: the contenders, each with its own Redis, and the load generator. */
export interface Stage {
  load: Load
  machine: Machine
  players: Player[]
}

export interface Player extends Service {
  redis: PrivateRedis
}

/** Starts all contenders, so that their rounds can take turns, runs `act`, and ends everything. */
export async function onStage<T> ({ patient }: Settings, names: ContenderName[], act: (stage: Stage) => Promise<T>): Promise<T> {
  const ends: Array<() => Promise<void>> = []
  try {
    const load = startLoad(patient)
    ends.push(load.stop)
    const players: Player[] = []
    for (const name of names) {
      const redis = await startRedis()
      ends.push(redis.stop)
      const answer = name === 'ceiling' ? await ourAnswer(players.find(({ name }) => name === 'ours')) : ''
      const service = await startContender(name, redis.url, answer)
      ends.push(service.stop)
      players.push({ ...service, redis })
    }
    const { version } = await players[0]!.redis.info()
    return await act({ load, players, machine: describeMachine(version) })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function ourAnswer (ours: Player | undefined): Promise<string> {
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
