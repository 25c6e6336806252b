// Writes dist/test/<folder>.test.js for every folder of `npm test`: a file that runs all tests of the folder, one after another in one
// process. Loading tap and the service takes longer than most test files. Each file also runs alone.
import { readdirSync, writeFileSync } from 'node:fs'

const tests = new URL('../dist/test/', import.meta.url)
for (const folder of readdirSync(tests, { withFileTypes: true }).filter(entry => entry.isDirectory())) {
  if (['proofs', 'system'].includes(folder.name)) continue
  const files = readdirSync(new URL(folder.name, tests)).filter(name => name.endsWith('.test.js')).sort()
  const imports = files.map(file => `await import('./${folder.name}/${file}')\n`)
  // Fails if a test file of the same name exists.
  if (files.length > 0) writeFileSync(new URL(`${folder.name}.test.js`, tests), imports.join(''), { flag: 'wx' })
}
