// Imports only Node's modules and its own: it runs before any package is installed.
import { join } from 'node:path'
import { endWithParent } from './command.mjs'
import { lock } from './lock.mjs'
import { installPackages, buildTap } from './packages.mjs'
import { installTool } from './tools.mjs'

process.chdir(join(import.meta.dirname, '..', '..'))
endWithParent()
const steps = process.argv.slice(2)
if (steps.length > 0) await lock()
for (const step of steps) {
  if (step === 'packages') await installPackages('.')
  else if (step.endsWith('-packages')) await installPackages(step.replace('-packages', ''))
  else if (step === 'tap') await buildTap()
  else await installTool(step)
}
