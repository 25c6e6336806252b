import { nodeArguments } from '../../test/support/processes.ts'
import type { LatencyResult, LoadResult, Command, RaceResult } from '../load/protocol.ts'
import type { Service } from './contenders.ts'
import { ask, spawnNode } from './processes.ts'

/**
 * The load generator, in its own process. A run with a wrong answer rejects, because its figures would be meaningless. With
 * `acceptUnavailable`, a 500 is right: the answer of a service on a machine that is busy with other things.
 */
export interface Load {
  pid: number
  sessions (service: Pick<Service, 'name' | 'urls' | 'protocol'>, tokens: string[], name?: string): Promise<void>
  closed (name: string, options: { connections: number, warmup: number, seconds: number }): Promise<LoadResult>
  count (name: string, options: { connections: number, count: number }): Promise<LoadResult>
  open (name: string, options: { connections: number, warmup: number, seconds: number, rate: number }): Promise<LatencyResult>
  race (name: string, copies: number, tokens: string[]): Promise<RaceResult[]>
  stop (): Promise<void>
}

export function startLoad (acceptUnavailable: boolean): Load {
  const generator = spawnNode(nodeArguments('bench/load/generator.ts'), { core: 1, ipc: true })
  const send = async <T>(command: Command): Promise<T> => await ask<T>(generator, command)
  const checked = async <T extends LoadResult>(command: Command): Promise<T> => {
    const result = await send<T>(command)
    if (result.wrong > (acceptUnavailable ? result.unavailable : 0)) {
      throw new Error(`${command.name}: ${result.wrong} of ${result.total} answers were wrong; the first:\n${result.firstWrong}`)
    }
    return result
  }
  return {
    pid: generator.pid,
    sessions: async ({ name, urls, protocol }, tokens, as = name) => {
      await send({ do: 'sessions', name: as, target: { urls, protocol }, tokens })
    },
    closed: async (name, options) => await checked({ do: 'closed', name, ...options }),
    count: async (name, options) => await checked({ do: 'count', name, ...options }),
    open: async (name, options) => await checked({ do: 'open', name, ...options }),
    race: async (name, copies, tokens) => (await send<{ results: RaceResult[] }>({ do: 'race', name, copies, tokens })).results,
    stop: generator.stop
  }
}
