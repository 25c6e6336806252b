import { setTimeout as delay } from 'node:timers/promises'
import type { Holder, Requests } from './requests.ts'

/** Results of one fault under load. */
export interface Figures {
  refreshes: number
  /** Refreshes answered 500 or not at all; each was repeated with the same token. */
  failed: number
  /** Seconds from the first failed refresh to the last; 0 without any. */
  outage: number
  /** Sessions refused although their clients held them all the time. */
  lost: number
  opened: number
  /** Sessions opened with a 201 during the load that were loggedOut afterwards. */
  openedLost: number
  loggedOut: number
  /** Sessions ended with a 204 that could still refresh afterwards. */
  revived: number
}

const CLIENTS = 60
/** Number of concurrent loops of log-ins and log-outs. */
const LOGINS = 4

/** Milliseconds between two requests of a client, and before a failed request is repeated. */
const PAUSE = 40

/**
 * Causes a fault while users refresh, log in and log out, then checks the state of their sessions. Repeats every request
 * answered 500, as a client and a login service should.
 */
export async function underLoad (requests: Requests, fault: () => Promise<void>): Promise<Figures> {
  const figures: Figures = { refreshes: 0, failed: 0, outage: 0, lost: 0, opened: 0, openedLost: 0, loggedOut: 0, revived: 0 }
  const failures: number[] = []
  let userId = 0
  const end = new AbortController()

  const retry = async <T>(ask: () => Promise<T | undefined | false>): Promise<T> => {
    for (;;) {
      const answer = await ask()
      if (answer) return answer
      await delay(PAUSE)
    }
  }
  const opening = async (): Promise<Holder> => {
    const id = ++userId
    return await retry(async () => await requests.open(id))
  }

  const refreshing = async (holder: Holder): Promise<void> => {
    while (!end.signal.aborted) {
      const outcome = await requests.refresh(holder)
      figures.refreshes++
      if (outcome === 'over') {
        figures.lost++
        return
      }
      if (outcome === 'failed') failures.push(performance.now())
      await delay(PAUSE)
    }
  }
  const loggedIn: Holder[] = []
  const loggedOut: Holder[] = []
  const loggingInAndOut = async (): Promise<void> => {
    while (!end.signal.aborted) {
      loggedIn.push(await opening())
      leavers.push(await opening())
      const leaving = leavers.shift()!
      await retry(async () => await requests.logOut(leaving))
      loggedOut.push(leaving)
      await delay(PAUSE)
    }
  }

  const holders: Holder[] = []
  for (let i = 0; i < CLIENTS; i++) holders.push(await opening())
  // Users who log out have been logged in for a while, so only their log-out can be lost, not their log-in.
  const leavers: Holder[] = []
  for (let i = 0; i < CLIENTS; i++) leavers.push(await opening())
  const loops = [...holders.map(refreshing), ...Array.from({ length: LOGINS }, loggingInAndOut)]
  await fault()
  end.abort()
  await Promise.all(loops)

  const outcome = async (holder: Holder): Promise<string> => await retry(async () => {
    const outcome = await requests.refresh(holder)
    return outcome === 'failed' ? undefined : outcome
  })
  for (const holder of loggedIn) if (await outcome(holder) === 'over') figures.openedLost++
  for (const holder of loggedOut) if (await outcome(holder) === 'done') figures.revived++
  figures.opened = loggedIn.length
  figures.loggedOut = loggedOut.length
  figures.failed = failures.length
  figures.outage = failures.length === 0 ? 0 : (failures.at(-1)! - failures[0]!) / 1000
  return figures
}
