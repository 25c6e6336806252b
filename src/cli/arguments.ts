import { parseArgs } from 'node:util'
import { SessionId } from '#src/schemas/fields'
import { formats } from '#src/schemas/formats'
import { verbs, type VerbName } from './verbs.ts'

/** The command was called in a way that means nothing; its message is a whole sentence. */
export class UsageError extends Error {
  constructor (message: string) {
    super(`${message} See refresh-token-service --help.`)
  }
}

export interface Invocation {
  verb: VerbName
  args: string[]
  json: boolean
}

/**
 * Reads the arguments behind the program's name.
 * @throws UsageError
 */
export function parseInvocation (argv: string[]): Invocation {
  const { values: { help, version, json = false }, positionals } = parse(argv)
  if (help === true) return { verb: 'help', args: [], json }
  if (version === true) return { verb: 'version', args: [], json }
  const [verb, ...args] = positionals
  if (verb === undefined) throw new UsageError('There is nothing to do.')
  if (!Object.hasOwn(verbs, verb)) throw new UsageError(`There is no verb ${JSON.stringify(verb)}.`)

  const { parameters } = verbs[verb as VerbName]
  const needed = parameters.match(/<\w+>/g)?.length ?? 0
  const allowed = parameters.match(/\w+/g)?.length ?? 0
  if (args.length < needed || args.length > allowed) throw new UsageError(`The usage is: refresh-token-service ${verb} ${parameters}`.trim() + '.')
  return { verb: verb as VerbName, args, json }
}

/**
 * One session id in 64 begins with a dash, and looks like options then. It is always the last argument, so it goes
 * behind the `--` that ends the options.
 */
function parse (argv: string[]): ReturnType<typeof parseArgs<{ allowPositionals: true, options: typeof options }>> {
  const isDashed = (arg: string): boolean => arg.startsWith('-') && isSessionId(arg)
  const args = argv.includes('--') ? argv : [...argv.filter(arg => !isDashed(arg)), '--', ...argv.filter(isDashed)]
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch (err) {
    throw new UsageError(`${(err as Error).message.split('. ')[0]}.`)
  }
}

const options = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  json: { type: 'boolean' }
} as const

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

function isSessionId (text: string): boolean {
  return new RegExp(SessionId.pattern!).test(text)
}
