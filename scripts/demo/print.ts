/** What the demo puts on the terminal: 80 columns, and never a whole token. */

const WIDTH = 80

// https://no-color.org; util.styleText would need Node 20.12.
const coloured = process.stdout.isTTY && !process.env.NO_COLOR
const style = (code: number) => (text: string): string => coloured ? `\x1b[${code}m${text}\x1b[0m` : text
const bold = style(1)
const dim = style(2)
const red = style(31)
const green = style(32)

/** Any text with a JWT in it, not JSON alone: what a stranger on the port answers is printed too. */
const JWT = /("?)(ey[\w-]+\.[\w-]+\.[\w-]+)\1/g

/** The generation in a refresh token, unverified: the demo only reads. */
export function generationOf (token: string): number | undefined {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).gen
  } catch {
    return undefined
  }
}

export function say (text: string): void {
  console.log(text)
}

export function heading (text: string): void {
  say(`\n${bold(text)}`)
}

export function printRequest (method: string, path: string, internal: boolean, body?: string): void {
  say(`\n  → ${bold(`${method} ${path}`)}${internal ? dim('  (internal, API key)') : ''}`)
  if (body !== undefined) say(`    ${wrap(shorten(body), 4)}`)
}

export function printAnswer (status: number, body: string): void {
  say(`  ← ${bold(String(status))} ${wrap(shorten(body), 8)}`.trimEnd())
}

/** Ends the demo where the service leaves the story. */
export class StoryError extends Error {}

/**
 * Says that the service did what the story says.
 * @throws StoryError that says what was expected, when it did not.
 */
export function check (holds: boolean, expected: string): asserts holds {
  if (!holds) throw new StoryError(`  ${red('✗')} Expected: ${expected}`)
  say(`  ${green('✓')} ${expected}`)
}

/** A token becomes both its ends and, for a refresh token, its generation. */
function shorten (text: string): string {
  return text.replace(JWT, (_match, quote: string, token: string) => {
    const generation = generationOf(token)
    return `${quote}${token.slice(0, 3)}…${token.slice(-4)}${quote}${generation === undefined ? '' : ` (generation ${generation})`}`
  }).slice(0, 1000)
}

/** Breaks JSON between its members. */
function wrap (json: string, indent: number): string {
  let column = indent
  return json.split(/(?<=,)(?=")/).map(member => {
    const fits = column + member.length <= WIDTH
    column = fits ? column + member.length : indent + 1 + member.length
    return fits ? member : `\n${' '.repeat(indent + 1)}${member}`
  }).join('')
}
