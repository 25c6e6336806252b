import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { giveUp, run } from './command.mjs'
import { announce } from './lock.mjs'

/** Matches the start of each command in "a || b". */
const eachCommand = /^|(?<=\|\| )/g

/** The tools to install. Any one of `binaries` is enough. `packages` lists each manager's packages, tried in turn. */
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
    packages: { 'apt-get': ['prometheus'], dnf: ['prometheus', 'golang-github-prometheus'], apk: ['prometheus'], brew: ['prometheus'] },
    reason: 'the tests check rules and metrics with its promtool',
    otherwise: 'install Prometheus'
  }
}

/** The PATH for packages' install scripts; with it they start and enable no services. */
const noServices = `${join(import.meta.dirname, 'no-services')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`

/** The supported package managers; the first one on the machine is used. Only Debian's starts services. */
const managers = [
  {
    name: 'apt-get',
    refresh: 'apt-get update',
    install: `apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=600 -o DPkg::Path=${quote(noServices)}`
  },
  { name: 'dnf', install: 'dnf install -y' },
  { name: 'apk', install: 'apk add --no-cache' },
  { name: 'brew', install: 'brew install', asUser: true }
]

/** Installs a tool of `tools` with the system's package manager, unless it is installed or not needed. */
export async function installTool (tool) {
  const { title, binaries, packages, reason, isNeeded = () => true, otherwise } = tools[tool]
  if (!isNeeded() || binaries.some(onPath)) return
  const manager = managers.find(({ name }) => onPath(name))
  if (manager === undefined) {
    giveUp(`There is no ${binaries.join(' or ')} on the PATH, and no package manager known here to install one: ${otherwise}.`)
  }
  const commands = [manager.refresh, packages[manager.name].map(name => `${manager.install} ${name}`).join(' || ')].filter(Boolean)
  const prefix = manager.asUser || process.getuid() === 0 ? '' : 'sudo -n '
  if (prefix !== '' && !(onPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0)) {
    giveUp(`Installing ${title} takes root (${reason}). Run this, then try again:\n  ${commands.map(command => command.replace(eachCommand, 'sudo ')).join(' && ')}`)
  }
  announce(`Installing ${title} with ${manager.name}, because ${reason} …`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  for (const command of commands) await run(command.replace(eachCommand, prefix), { env, prefix, system: true })
  if (!binaries.some(onPath)) giveUp(`${manager.name} put no ${binaries.join(' or ')} on the PATH.`)
}

/** Also looks in the sbin beside each bin: Debian installs nginx and HAProxy there, off the PATH of ordinary users. */
function onPath (name) {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return folders.flatMap(folder => [folder, folder.replace(/bin$/, 'sbin')]).some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

function quote (text) {
  return `'${text.replaceAll("'", "'\\''")}'`
}
