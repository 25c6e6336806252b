import { SessionId, formats } from '#src/schemas/fields'

/** The arguments are invalid. The message is a whole sentence. */
export class UsageError extends Error {
  constructor (message: string) {
    super(`${message} See refresh-token-service --help.`)
  }
}

/** @throws UsageError when the text is not a positive safe integer. */
export function toUserId (text: string): number {
  if (!formats['user-id']!(text)) throw new UsageError(`The user id must be a whole number from 1 to ${Number.MAX_SAFE_INTEGER}.`)
  return Number(text)
}

/** @throws UsageError when the text can't be the id of a session. */
export function toSessionId (text: string): string {
  if (!isSessionId(text)) throw new UsageError('The session id must be 22 characters of A-Z a-z 0-9 _ -.')
  return text
}

/** Whether the text may be the id of a session. */
export function isSessionId (text: string): boolean {
  return new RegExp(SessionId.pattern!).test(text)
}
