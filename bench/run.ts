import { mkdir, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { available, contenders, type ContenderName } from './harness/contenders.ts'
import { canPin } from './harness/processes.ts'
import { growth } from './parts/growth.ts'
import { memory } from './parts/memory.ts'
import { profile } from './parts/profile.ts'
import { race } from './parts/race.ts'
import { sessions } from './parts/sessions.ts'
import { speed } from './parts/speed.ts'
import { start } from './parts/start.ts'
import { writeReport } from './report/write.ts'
import { full, quick, type Report, type Settings } from './settings.ts'

/** `npm run bench -- [part …] [--only contender,…] [--quick] [--results folder]`; see README.md beside this file. */

type Part = (settings: Settings, report: Report) => Promise<{ machine: object, results: object }>

const parts: Record<string, Part> = {
  speed,
  race,
  memory,
  start,
  profile,
  growth,
  sessions: async (settings, report) => await sessions(settings, settings.manySessions, report),
  'five-million': async (settings, report) => await sessions(settings, settings.mostSessions, report)
}

/** Parts that run when none is named; each of the others takes minutes. */
const usual = ['speed', 'race', 'memory', 'start']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, quick: { type: 'boolean', default: false }, results: { type: 'string', default: 'bench/results' } }
})
const unknown = positionals.filter(name => !(name in parts) && name !== 'report')
const only = values.only?.split(',') ?? available()
if (unknown.length > 0 || only.some(name => !(name in contenders))) {
  console.error(`Parts: ${Object.keys(parts).join(', ')}, report. Contenders (--only): ${Object.keys(contenders).join(', ')}.`)
  process.exit(1)
}
const settings: Settings = { ...(values.quick ? quick : full), contenders: only as ContenderName[] }
const folder = resolve(values.results)
await mkdir(folder, { recursive: true })
if (!canPin) console.log('Processes can\'t be tied to cores here (taskset, two cores): the ratios are worth less.')

for (const name of positionals.length > 0 ? positionals.filter(name => name !== 'report') : usual) {
  console.log(`\n${name}`)
  const begin = performance.now()
  const { machine, results } = await parts[name]!(settings, line => console.log(`  ${line}`))
  const seconds = Math.round((performance.now() - begin) / 1000)
  const record = { part: name, date: new Date().toISOString().slice(0, 10), seconds, quick: values.quick, machine, settings, results }
  await writeFile(`${folder}/${name}.json`, JSON.stringify(record, undefined, 2) + '\n')
}
console.log(`\n${await writeReport(folder)}`)
