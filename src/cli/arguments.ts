import { parseArgs } from 'node:util'
import { isSessionId, UsageError, type Flags } from './verb.ts'
import { verbs, type VerbName } from './verbs.ts'

export interface Invocation {
  verb: VerbName
  args: string[]
  flags: Flags
  json: boolean
}

const options = {
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
  json: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  rejected: { type: 'string' }
} as const

/**
 * Parses the arguments after the program's name. The verb of a call without one is `start`.
 * @throws UsageError
 */
export function parseInvocation (argv: string[]): Invocation {
  const { values: { help, version, json = false, 'dry-run': dryRun = false, rejected }, positionals: [verb = 'start', ...args] } = parse(argv)
  const flags = { dryRun, rejected }
  if (help === true) return { verb: 'help', args: [], flags, json }
  if (version === true) return { verb: 'version', args: [], flags, json }
  if (!Object.hasOwn(verbs, verb)) throw new UsageError(`There is no verb ${JSON.stringify(verb)}.`)

  const { parameters, options = '' } = verbs[verb as VerbName]
  const needed = parameters.match(/<\w+>/g)?.length ?? 0
  const allowed = parameters.match(/\w+/g)?.length ?? 0
  if (args.length < needed || args.length > allowed) throw new UsageError(`The usage is: refresh-token-service ${[verb, parameters, options].join(' ').trim()}.`)
  const foreign = [dryRun ? '--dry-run' : '', rejected === undefined ? '' : '--rejected'].find(name => !options.includes(name))
  if (foreign !== undefined) throw new UsageError(`The verb ${verb} has no ${foreign}.`)
  if (verb === 'start' && json) throw new UsageError('The verb start has no --json: its log is JSON except on a terminal.')
  return { verb: verb as VerbName, args, flags, json }
}

/** Moves session ids that begin with a dash, one in 64, behind the `--` that ends the options. */
function parse (argv: string[]): ReturnType<typeof parseArgs<{ allowPositionals: true, options: typeof options }>> {
  const isDashed = (arg: string): boolean => arg.startsWith('-') && isSessionId(arg)
  const args = argv.includes('--') ? argv : [...argv.filter(arg => !isDashed(arg)), '--', ...argv.filter(isDashed)]
  try {
    return parseArgs({ args, allowPositionals: true, options })
  } catch (err) {
    const [sentence] = (err as Error).message.split(/\.(?:\s|$)/)
    throw new UsageError(`${sentence}.`)
  }
}
