import type { Writable } from 'node:stream'
import { SessionId } from '#src/schemas/fields'
import { parseUserId, type UserId } from '#src/tokens/user-id'
import type { Screen, Terminal } from './output.ts'

/** Options of single verbs. */
export interface Flags {
  dryRun: boolean
  /** The path of the file of rejected lines. */
  rejected: string | undefined
}

/** The input of a verb. */
export interface Request {
  /** The number of arguments is right; their values are unchecked. */
  args: string[]
  flags: Flags
  /** After this call, the first Ctrl-C aborts the signal instead of ending the process, so the verb can show a partial result. */
  holdInterruption: () => AbortSignal
  /** The terminal that shows progress. */
  terminal: Terminal
  /** Standard input and output, for verbs that read or write a file of any size. */
  input: AsyncIterable<Buffer>
  output: Writable
}

/** The output of a verb, for scripts and for people. The shapes of the documents are public: docs/cli.md. */
export interface Result {
  document: object
  /** Whole lines. */
  text: (screen: Screen) => string
  failed?: boolean
  /** The verb has written to the output itself, so this goes to standard error. */
  isAside?: boolean
}

/** Runs a verb that prints a result. The message of a thrown error is one sentence for the user, without secrets. */
export type Run = (request: Request) => Promise<Result>

/** The arguments are invalid. The message is a whole sentence. */
export class UsageError extends Error {
  constructor (message: string) {
    super(`${message} See refresh-token-service --help.`)
  }
}

/** @throws UsageError when the text is no user id. */
export function toUserId (text: string): UserId {
  const id = parseUserId(text)
  if (id !== undefined) return id
  throw new UsageError(`The user id must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}, or at most 128 characters of A-Z a-z 0-9 . _ ~ @ | - that begin with a letter or a digit.`)
}

/** @throws UsageError when the text does not have the form of a session id. */
export function toSessionId (text: string): string {
  if (!isSessionId(text)) throw new UsageError('The session id must be 22 characters of A-Z a-z 0-9 _ -.')
  return text
}

export function isSessionId (text: string): boolean {
  return new RegExp(SessionId.pattern!).test(text)
}
