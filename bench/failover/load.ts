import { setTimeout as delay } from 'node:timers/promises'
import type { Holder, Requests } from './requests.ts'

/** What happened to everybody while a fault was played. */
export interface Figures {
  refreshes: number
  /** Refreshes that were answered 500, or not at all; each was repeated with the same token. */
  failed: number
  /** Seconds from the first of them to the last; 0 when there was none. */
  outage: number
  /** Sessions that clients held all the time and that were refused. */
  lost: number
  opened: number
  /** Sessions whose opening was answered 201 meanwhile and that were gone afterwards. */
  openedLost: number
  loggedOut: number
  /** Sessions whose end was answered 204 and that refreshed afterwards. */
  revived: number
}

const CLIENTS = 60
/** How many log in and out at the same time. */
const LOGINS = 4

/** Milliseconds between two requests of a client, and before it repeats one that failed. */
const PAUSE = 40

/**
 * Plays a fault while clients refresh, people log in and others log out, and looks afterwards what became of them.
 * Whatever is answered 500 is asked again, as a client and a login service should.
 */
export async function underLoad (requests: Requests, fault: () => Promise<void>): Promise<Figures> {
  const figures: Figures = { refreshes: 0, failed: 0, outage: 0, lost: 0, opened: 0, openedLost: 0, loggedOut: 0, revived: 0 }
  const failures: number[] = []
  let userId = 0
  const playing = new AbortController()

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
    while (!playing.signal.aborted) {
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
  const comingAndGoing = async (stays: Holder[], present: Holder[], gone: Holder[]): Promise<void> => {
    while (!playing.signal.aborted) {
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
  // Who leaves has been here for a while: it is the log-out that may be lost, not the log-in.
  const present: Holder[] = []
  for (let i = 0; i < CLIENTS; i++) present.push(await opening())
  const stays: Holder[] = []
  const gone: Holder[] = []
  const everybody = [...holders.map(refreshing), ...Array.from({ length: LOGINS }, async () => await comingAndGoing(stays, present, gone))]
  await fault()
  playing.abort()
  await Promise.all(everybody)

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
