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
  /** Sessions opened with a 201 during the load that were gone afterwards. */
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
  const underway = new AbortController()

  const insist = async <T>(ask: () => Promise<T | undefined | false>): Promise<T> => {
    for (;;) {
      const answer = await ask()
      if (answer) return answer
      await delay(PAUSE)
    }
  }
  const opening = async (): Promise<Holder> => {
    const id = ++userId
    return await insist(async () => await requests.open(id))
  }

  const refreshing = async (holder: Holder): Promise<void> => {
    while (!underway.signal.aborted) {
      const verdict = await requests.refresh(holder)
      figures.refreshes++
      if (verdict === 'over') {
        figures.lost++
        return
      }
      if (verdict === 'failed') failures.push(performance.now())
      await delay(PAUSE)
    }
  }
  const loggingInAndOut = async (stays: Holder[], present: Holder[], gone: Holder[]): Promise<void> => {
    while (!underway.signal.aborted) {
      stays.push(await opening())
      present.push(await opening())
      const leaves = present.shift()!
      await insist(async () => await requests.logOut(leaves))
      gone.push(leaves)
      await delay(PAUSE)
    }
  }

  const holders: Holder[] = []
  for (let i = 0; i < CLIENTS; i++) holders.push(await opening())
  // Users who log out have been logged in for a while, so only their log-out can be lost, not their log-in.
  const present: Holder[] = []
  for (let i = 0; i < CLIENTS; i++) present.push(await opening())
  const stays: Holder[] = []
  const gone: Holder[] = []
  const loops = [...holders.map(refreshing), ...Array.from({ length: LOGINS }, async () => await loggingInAndOut(stays, present, gone))]
  await fault()
  underway.abort()
  await Promise.all(loops)

  const verdict = async (holder: Holder): Promise<string> => await insist(async () => {
    const verdict = await requests.refresh(holder)
    return verdict === 'failed' ? undefined : verdict
  })
  for (const holder of stays) if (await verdict(holder) === 'over') figures.openedLost++
  for (const holder of gone) if (await verdict(holder) === 'done') figures.revived++
  figures.opened = stays.length
  figures.loggedOut = gone.length
  figures.failed = failures.length
  figures.outage = failures.length === 0 ? 0 : (failures.at(-1)! - failures[0]!) / 1000
  return figures
}
