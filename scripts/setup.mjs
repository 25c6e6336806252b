// Installs what is missing of what it is asked for: `node scripts/setup.mjs packages redis`. Runs first in `npm start`,
// `npm test` and the other commands, on a bare Node, so it can import nothing but Node itself.
import { execFileSync } from 'node:child_process'
import { accessSync, constants, lstatSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where each command of an "a || b" begins. */
const eachCommand = /^|(?<=\|\| )/g

/** What can be installed: any of the binaries will do; the commands are each manager's, tried in turn. */
const tools = {
  redis: {
    title: 'a Redis server',
    binaries: ['redis-server', 'valkey-server'],
    packages: { 'apt-get': ['redis-server'], dnf: ['redis', 'valkey'], apk: ['redis', 'valkey'], brew: ['redis'] },
    reason: 'there is none and REDIS_URL is not set',
    isNeeded: () => !process.env.REDIS_URL,
    otherwise: 'install Redis 7 or later, or set REDIS_URL'
  },
  nginx: {
    title: 'nginx',
    binaries: ['nginx'],
    packages: { 'apt-get': ['nginx'], dnf: ['nginx'], apk: ['nginx'], brew: ['nginx'] },
    reason: 'the tests run a gateway with it',
    otherwise: 'install nginx'
  },
  haproxy: {
    title: 'HAProxy',
    binaries: ['haproxy'],
    packages: { 'apt-get': ['haproxy'], dnf: ['haproxy'], apk: ['haproxy'], brew: ['haproxy'] },
    reason: 'the tests balance replicas with it',
    otherwise: 'install HAProxy'
  },
  chromium: {
    title: 'Chromium',
    binaries: ['chromium', 'chromium-browser', 'google-chrome'],
    packages: { 'apt-get': ['chromium'], dnf: ['chromium'], apk: ['chromium'], brew: ['--cask chromium'] },
    reason: 'the tests run pages in it',
    otherwise: 'install Chromium'
  },
  prometheus: {
    title: 'Prometheus',
    binaries: ['promtool'],
    // Debian's starts a server on port 9090, which nothing here uses.
    packages: { 'apt-get': ['prometheus'], dnf: ['prometheus', 'golang-github-prometheus'], apk: ['prometheus'], brew: ['prometheus'] },
    reason: 'the tests check rules and metrics with its promtool',
    otherwise: 'install Prometheus'
  }
}

/** The package managers known here; the first one on the machine is used. */
const managers = [
  { name: 'apt-get', refresh: 'apt-get update', install: 'apt-get install -y --no-install-recommends' },
  { name: 'dnf', install: 'dnf install -y' },
  { name: 'apk', install: 'apk add --no-cache' },
  { name: 'brew', install: 'brew install', asUser: true }
]

process.chdir(join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '..'))
for (const step of process.argv.slice(2)) {
  if (step === 'packages') installPackages('.')
  else if (step === 'bench-packages') installPackages('bench')
  else installTool(tools[step])
}

/** The lock file that npm keeps of what it installed is younger than ours unless ours has changed since. */
function installPackages (folder) {
  const modules = join(folder, 'node_modules')
  const lock = join(folder, 'package-lock.json')
  // Packages that are only linked to are somebody else's, and npm ci would begin with removing them.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return
  const installed = statSync(join(modules, '.package-lock.json'), { throwIfNoEntry: false })
  if (installed !== undefined && installed.mtimeMs >= statSync(lock).mtimeMs) return
  say(`Installing the packages of ${lock} (npm ci) …`)
  run(`npm ci${folder === '.' ? '' : ` --prefix ${folder}`} --include=dev --no-audit --no-fund --loglevel=error`)
}

function installTool ({ title, binaries, packages, reason, isNeeded = () => true, otherwise }) {
  if (!isNeeded() || binaries.some(onPath)) return
  const manager = managers.find(({ name }) => onPath(name))
  if (manager === undefined) {
    giveUp(`There is no ${binaries.join(' or ')} on the PATH, and no package manager known here to install one: ${otherwise}.`)
  }
  const commands = [manager.refresh, packages[manager.name].map(name => `${manager.install} ${name}`).join(' || ')].filter(Boolean)
  const prefix = manager.asUser || process.getuid() === 0 ? '' : 'sudo -n '
  if (prefix !== '' && !(onPath('sudo') && succeeds('sudo -n true'))) {
    giveUp(`Installing ${title} takes root (${reason}). Run this, then try again:\n  ${commands.map(command => command.replace(eachCommand, 'sudo ')).join(' && ')}`)
  }
  say(`Installing ${title} with ${manager.name}, because ${reason} …`)
  for (const command of commands) run(command.replace(eachCommand, prefix), { DEBIAN_FRONTEND: 'noninteractive' })
  if (!binaries.some(onPath)) giveUp(`${manager.name} put no ${binaries.join(' or ')} on the PATH.`)
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
