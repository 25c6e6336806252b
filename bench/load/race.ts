import type { RaceResult } from './protocol.ts'
import type { Connection, Done } from './connection.ts'
import { saysTryAgain, type Sessions } from './sessions.ts'

/**
 * Sends one token many times at once, each copy on its own connection, then tries every successor issued. A token is
 * double-spent when more than one successor works.
 */
export async function race (sessions: Sessions, copies: number, token: string): Promise<RaceResult> {
  const connections = await sessions.connect(copies)
  const answers = await Promise.all(connections.map(async connection => await refresh(connection, token)))
  const successors = new Set(answers.filter(next => next !== undefined))
  let working = 0
  for (const successor of successors) {
    if (await refresh(connections[0]!, successor) !== undefined) working++
  }
  return { successors: successors.size, working, refused: answers.filter(next => next === undefined).length }
}

const TRIES = 5

/** Refreshes, and retries a 500 up to `TRIES` attempts, as a client should. */
async function refresh (connection: Connection, token: string, tries = TRIES): Promise<string | undefined> {
  const [next, wrong] = await new Promise<Parameters<Done>>(resolve => {
    connection.refresh(token, (...answer) => { resolve(answer) })
  })
  return saysTryAgain(wrong) && tries > 1 ? await refresh(connection, token, tries - 1) : next
}
