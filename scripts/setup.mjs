// Runs first in every npm script and installs missing packages and tools: `node scripts/setup.mjs packages redis`. Refuses an old
// Node with one sentence before installing anything, so an old Node must be able to parse this file. The rest is in setup/.
import { readFileSync } from 'node:fs'

const { engines } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const [wanted, found] = [engines.node, process.versions.node].map(version => /(\d+\.\d+)/.exec(version)[1])
if (wanted.localeCompare(found, 'en', { numeric: true }) > 0) {
  console.error(`Node ${wanted} or later is needed; this is Node ${process.versions.node}.`)
  process.exit(1)
}
import('./setup/main.mjs')
