import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { goals, UNDECIDED } from './goals.ts'
import { plots } from './plots.ts'
import { readResults } from './read.ts'
import { fullReport, summary } from './tables.ts'

const own = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

/** Folder of the results shown in the READMEs. */
export const resultsFolder = own('../results')

/**
 * Makes tables and plots of all results in a folder. Tables of `resultsFolder` are written into the READMEs, between markers;
 * tables of other folders are written into files. Returns the goals as text for a terminal.
 */
export async function writeReport (folder: string): Promise<string> {
  const results = readResults(folder)
  const [everything, short] = [fullReport(results), summary(results)]
  for (const [name, svg] of Object.entries(plots(results))) await writeFile(`${folder}/${name}`, svg)
  if (folder === resultsFolder) {
    await putBetween(own('../README.md'), 'results', everything)
    await putBetween(own('../../README.md'), 'bench', short)
  } else {
    await writeFile(`${folder}/report.md`, `${everything}\n`)
    await writeFile(`${folder}/summary.md`, `${short}\n`)
  }
  return goals(results).map(({ name, goal, measured, met }) => met === undefined
    ? `${name}: ${measured} (${goal}), ${UNDECIDED}`
    : `${met ? 'met   ' : 'MISSED'}  ${name}: ${measured} (${goal})`).join('\n')
}

/** Replaces the text between `<!-- name -->` and `<!-- /name -->`; leaves a file without these markers unchanged. */
async function putBetween (file: string, name: string, text: string): Promise<void> {
  const before = await readFile(file, 'utf8')
  const after = before.replace(new RegExp(`(<!-- ${name} -->\n)[^]*(<!-- /${name} -->)`), (_, start, end) => `${start}\n${text}\n\n${end}`)
  if (after !== before) await writeFile(file, after)
}
