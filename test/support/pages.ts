import { execFileSync } from 'node:child_process'

/**
 * Runs the `sh` blocks of a Markdown page in one shell, after `replace`. Returns the output of each, and the documented output: the text of
 * the block that follows, unless that is a `sh` block too. Tokens, session ids and times count as equal.
 */
export function runBlocks (
  page: string, replace: (script: string) => string, env: Record<string, string> = {}
): { printed: string[], expected: string[] } {
  const blocks = [...page.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, language, text]) => ({ language, text: text! }))
  // A form feed after each block separates their outputs.
  const script = replace(blocks.filter(({ language }) => language === 'sh').map(({ text }) => `${text}\nprintf '\\f'\n`).join(''))
  const printed = execFileSync('bash', ['-c', `exec 2>&1\n${script}`], { encoding: 'utf8', env: { ...process.env, ...env } }).split('\f').slice(0, -1)
    .map(text => text.replace(/eyJ[\w.-]+/g, 'eyJ…').replace(/("sid"|"\w+At"):"[^"]+"/g, '$1:"…"').trim())
  const expected = blocks.flatMap(({ language }, i) =>
    language !== 'sh' ? [] : [blocks[i + 1] === undefined || blocks[i + 1]!.language === 'sh' ? '' : blocks[i + 1]!.text.trim()])
  return { printed, expected }
}
