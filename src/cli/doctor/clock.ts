import type { Redis } from 'ioredis'
import { nameOf } from '#src/cli/servers'
import { fail, ok, warn, type Check } from './check.ts'

/** Seconds. Times in whole seconds hide 1 s; an error of 30 s lets a failover double or swallow the usual retry window. */
const NOTABLE = 1
const WRONG = 30

/** Seconds by which a server's clock is ahead of this machine's; `undefined` when the server can't be reached. */
export interface Clock {
  server: string
  ahead: number | undefined
}

/** Reads the server's time, accurate to half a round trip. */
export async function readClock (redis: Redis): Promise<Clock> {
  const sent = Date.now()
  const ahead = await redis.time().then(
    ([seconds, microseconds]) => Number(seconds) + Number(microseconds) / 1e6 - (sent + Date.now()) / 2000,
    () => undefined
  )
  return { server: nameOf(redis), ahead }
}

/**
 * Sessions expire by the master's clock, so a failover switches them to a replica's clock. A verifier of access tokens uses
 * the clock of its own machine.
 */
export function clockChecks (clocks: Clock[]): Check[] {
  const known = clocks.flatMap(({ ahead }) => ahead ?? [])
  const here = Math.max(0, ...known.map(Math.abs))
  const spread = Math.max(...known) - Math.min(...known)
  return [
    judge(here, 'between this machine and Redis', 'if it is Redis\'s that is wrong, sessions end too early or too late; access tokens look older or newer than they are'),
    ...(known.length > 1 ? [judge(spread, 'among the Redis servers', 'a failover makes sessions end early or late')] : []),
    ...clocks.filter(({ ahead }) => ahead === undefined)
      .map(({ server }) => warn('clock', `${server} can't be reached from here`, 'run doctor where it can, to compare its clock'))
  ]
}

function judge (seconds: number, where: string, effect: string): Check {
  const message = `${seconds.toFixed(3)} s ${where}`
  if (seconds <= NOTABLE) return ok('clock', message)
  return (seconds > WRONG ? fail : warn)('clock', `${message}: ${effect}`, 'run NTP on all machines')
}
