import { mkdir, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { available, contenderNames, titles, type ContenderName } from './harness/contenders.ts'
import { canPin } from './harness/processes.ts'
import { features } from './suites/features.ts'
import { growth } from './suites/growth.ts'
import { memory } from './suites/memory.ts'
import { profile } from './suites/profile.ts'
import { race } from './suites/race.ts'
import { saturation } from './suites/saturation.ts'
import { sessions } from './suites/sessions.ts'
import { speed } from './suites/speed.ts'
import { start } from './suites/start.ts'
import { writeReport } from './report/write.ts'
import { full, quick, type Report, type Settings } from './settings.ts'

/** `npm run bench -- [suite …] [--only contender,…] [--quick] [--results folder]`; see README.md beside this file. */

type Suite = (settings: Settings, report: Report) => Promise<{ machine: object, results: object }>

const suites: Record<string, Suite> = {
  speed,
  race,
  memory,
  start,
  profile,
  saturation,
  features,
  growth,
  sessions: async (settings, report) => await sessions(settings, settings.manySessions, report),
  'five-million': async (settings, report) => await sessions(settings, settings.mostSessions, report)
}

/** Suites that run when none is named; each of the others takes minutes. */
const usual = ['speed', 'saturation', 'race', 'memory', 'start']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, quick: { type: 'boolean', default: false }, results: { type: 'string', default: 'bench/results' } }
})
const unknown = positionals.filter(name => !(name in suites) && name !== 'report')
const only = values.only?.split(',') ?? available()
if (unknown.length > 0 || only.some(name => !(name in titles))) {
  console.error(`Suites: ${Object.keys(suites).join(', ')}, report. Contenders (--only): ${contenderNames.join(', ')}.`)
  process.exit(1)
}
const settings: Settings = { ...(values.quick ? quick : full), contenders: only as ContenderName[] }
const folder = resolve(values.results)
await mkdir(folder, { recursive: true })
if (!canPin) console.log('Processes can\'t be tied to cores here (taskset, two cores): the ratios are worth less.')

for (const name of positionals.length > 0 ? positionals.filter(name => name !== 'report') : usual) {
  console.log(`\n${name}`)
  const begin = performance.now()
  const { machine, results } = await suites[name]!(settings, line => console.log(`  ${line}`))
  const seconds = Math.round((performance.now() - begin) / 1000)
  const record = { suite: name, date: new Date().toISOString().slice(0, 10), seconds, quick: values.quick, machine, settings, results }
  await writeFile(`${folder}/${name}.json`, JSON.stringify(record, undefined, 2) + '\n')
}
console.log(`\n${await writeReport(folder)}`)
