// Installs what is missing of what it is asked for: `node scripts/setup.mjs packages redis`. Runs before `npm start`,
// `npm test` and the other commands, on a bare Node, so it can import nothing but Node itself.
import { execFileSync } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** How each package manager installs a Redis server; the first one on the machine is used. */
const managers = [
  { name: 'apt-get', commands: ['apt-get update', 'apt-get install -y --no-install-recommends redis-server'] },
  { name: 'dnf', commands: ['dnf install -y redis || dnf install -y valkey'] },
  { name: 'apk', commands: ['apk add --no-cache redis || apk add --no-cache valkey'] },
  { name: 'brew', commands: ['brew install redis'], asUser: true }
]

process.chdir(join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..'))
const steps = { packages: installPackages, redis: installRedis }
for (const name of process.argv.slice(2)) steps[name]()

/** The lock file that npm keeps of what it installed is younger than ours unless ours has changed since. */
function installPackages () {
  const installed = statSync('node_modules/.package-lock.json', { throwIfNoEntry: false })
  if (installed !== undefined && installed.mtimeMs >= statSync('package-lock.json').mtimeMs) return
  say('Installing the packages of package-lock.json (npm ci) …')
  run('npm ci --include=dev --no-audit --no-fund --loglevel=error')
}

function installRedis () {
  if (process.env.REDIS_URL || onPath('redis-server') || onPath('valkey-server')) return
  const manager = managers.find(({ name }) => onPath(name))
  if (manager === undefined) {
    giveUp('There is no redis-server or valkey-server on the PATH, and no package manager known here to install one: install Redis 7 or later, or set REDIS_URL.')
  }
  const prefix = manager.asUser || process.getuid() === 0 ? '' : 'sudo -n '
  if (prefix !== '' && !(onPath('sudo') && succeeds('sudo -n true'))) {
    const commands = manager.commands.map(command => `sudo ${command}`).join(' && ')
    giveUp(`A Redis server is needed, and installing it takes root. Run this, then try again:\n  ${commands}`)
  }
  say(`Installing a Redis server with ${manager.name}, because there is none and REDIS_URL is not set …`)
  for (const command of manager.commands) run(command.replace(/^|(?<=\|\| )/g, prefix), { DEBIAN_FRONTEND: 'noninteractive' })
  if (!onPath('redis-server') && !onPath('valkey-server')) giveUp(`${manager.name} installed no redis-server or valkey-server on the PATH.`)
}

function onPath (name) {
  return (process.env.PATH ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function succeeds (command) {
  try {
    execFileSync('sh', ['-c', command], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Shows what the command prints only when it fails. */
function run (command, env = {}) {
  try {
    execFileSync('sh', ['-c', command], { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 2 ** 28 })
  } catch (err) {
    giveUp(`${err.stdout ?? ''}${err.stderr ?? ''}\nThis command failed:\n  ${command}`)
  }
}

function say (text) {
  console.log(text)
}

function giveUp (text) {
  console.error(text)
  process.exit(1)
}
