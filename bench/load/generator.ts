import { quantile } from '../harness/statistics.ts'
import { closedLoop, countedLoop } from './closed.ts'
import { openLoop } from './open.ts'
import type { LatencyResult, LoadResult, Command } from './protocol.ts'
import { race } from './race.ts'
import { Sessions } from './sessions.ts'

/** The load generator: runs in its own process and takes commands over the IPC channel. */

const services = new Map<string, Sessions>()

async function execute (command: Command): Promise<unknown> {
  if (command.do === 'sessions') {
    services.set(command.name, new Sessions(command.target, command.tokens))
    return {}
  }
  const sessions = services.get(command.name)!
  switch (command.do) {
    case 'closed': return await measure(sessions, async () =>
      perSecond(await closedLoop(sessions, command.connections, command.warmup, command.seconds)))
    case 'count': return await measure(sessions, async () =>
      perSecond(await countedLoop(sessions, command.connections, command.count)))
    case 'open': return await measure<LatencyResult>(sessions, async () => {
      const { latencies, delays } = await openLoop(sessions, command.connections, command.warmup, command.seconds, command.rate)
      return { latencies, ownDelay: quantile(delays, 0.99), answered: latencies.length, perSecond: latencies.length / command.seconds }
    })
    case 'race': {
      const results = []
      for (const token of command.tokens) results.push(await race(sessions, command.copies, token))
      return { results }
    }
  }
}

const perSecond = ({ answered, seconds }: { answered: number, seconds: number }) => ({ answered, perSecond: answered / seconds })

/** Runs a load, and adds the generator's CPU and the number of wrong answers. */
async function measure<T extends LoadResult> (sessions: Sessions, run: () => Promise<Omit<T, Exclude<keyof LoadResult, 'answered' | 'perSecond'>>>): Promise<T> {
  const { total, wrong, unavailable } = sessions
  const cpu = process.cpuUsage()
  const start = performance.now()
  const result = await run()
  const { user, system } = process.cpuUsage(cpu)
  return {
    ...result,
    total: sessions.total - total,
    wrong: sessions.wrong - wrong,
    unavailable: sessions.unavailable - unavailable,
    ...(sessions.firstWrong === undefined ? {} : { firstWrong: sessions.firstWrong }),
    generatorCpu: (user + system) / 1000 / (performance.now() - start)
  } as unknown as T
}

process.on('message', (command: Command) => {
  execute(command).then(answer => { process.send!(answer) }, err => { process.send!({ error: String(err?.stack ?? err) }) })
})
process.on('disconnect', () => process.exit())
