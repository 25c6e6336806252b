import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { tempFolder } from '../support/helper.ts'
import { lockFile, machine } from '../support/setup-machine.ts'

/** scripts/setup.mjs on machines that lack packages or tools. */

t.test('Node: refuses an old version with one sentence, before it installs anything', async t => {
  const { setup, install, calls } = await machine(t)
  await install('npm')
  const on = (version: string): ReturnType<typeof setup> =>
    setup(['packages'], { NODE_OPTIONS: `--import data:text/javascript,Object.defineProperty(process,'versions',{value:{node:'${version}'}})` })
  for (const version of ['14.21.3', '18.20.8', '20.9.0', '20.11.1']) {
    t.match(on(version), { status: 1, stdout: '', stderr: `Node 20.12 or later is needed; this is Node ${version}.\n` })
  }
  t.same(await calls(), [])
  for (const version of ['20.12.0', '20.20.2', '22.3.0', '100.0.0']) t.equal(on(version).status, 0, version)
})

t.test('Node: every npm script checks the version first', async t => {
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8')) as { scripts: Record<string, string> }
  const unchecked = Object.keys(scripts).filter(name => !scripts[name]!.startsWith('node scripts/setup.mjs '))
  t.same(unchecked, ['compile', 'bundle:types', 'dist:files'], 'these run only after a checked script, or in the Dockerfile with its own Node')
})

t.test('packages: runs npm ci only when a package of the lock file is missing or has another version', async t => {
  const { setup, calls, install, folder } = await machine(t)
  const installed = join(folder, 'node_modules', '.package-lock.json')
  await install('npm')
  t.match(setup(['packages']), { status: 0, stdout: 'Installing the packages of package-lock.json (npm ci) …\n' })
  t.same(await calls(), ['npm ci --include=dev --no-audit --no-fund --loglevel=error'])
  await mkdir(join(folder, 'node_modules'))
  await writeFile(installed, lockFile({ tap: '21.0.0' }))
  t.match(setup(['packages']), { status: 0, stdout: '' })
  t.equal((await calls()).length, 1)
  for (const others of [{ tap: '21.1.0' }, { fastify: '5.0.0' }, {}]) {
    await writeFile(installed, lockFile(others))
    setup(['packages'])
  }
  t.equal((await calls()).length, 4, 'after an update, for a new package, and after npm prune --omit=dev')
})

t.test('packages of the bench: installs them in the folder of the bench', async t => {
  const { setup, calls, install, folder } = await machine(t)
  await install('npm')
  await mkdir(join(folder, 'bench', 'node_modules'), { recursive: true })
  await writeFile(join(folder, 'bench', 'package-lock.json'), lockFile({ express: '5.0.0' }))
  t.match(setup(['bench-packages']), { status: 0, stdout: 'Installing the packages of bench/package-lock.json (npm ci) …\n' })
  t.same(await calls(), ['npm ci --prefix bench --include=dev --no-audit --no-fund --loglevel=error'])
  await writeFile(join(folder, 'bench', 'node_modules', '.package-lock.json'), lockFile({ express: '5.0.0' }))
  t.match(setup(['bench-packages']), { status: 0, stdout: '' })
})

t.test('packages: leaves a link to another installation alone', async t => {
  const { setup, calls, install, folder } = await machine(t)
  await install('npm')
  await symlink(await tempFolder(t), join(folder, 'node_modules'))
  t.match(setup(['packages']), { status: 0, stdout: '' })
  t.same(await calls(), [])
})

t.test('packages: shows the output of a failed npm ci', async t => {
  const { setup, install } = await machine(t)
  await install('npm', 'echo "no network" >&2; exit 1')
  t.match(setup(['packages']), { status: 1, stderr: /no network\n\nThis command failed:\n {2}npm ci/ })
})

t.test('redis: installs nothing when a server is installed or REDIS_URL is set', async t => {
  for (const name of ['redis-server', 'valkey-server']) {
    const { setup, install, calls } = await machine(t)
    await install('apt-get')
    await install(name)
    t.match(setup(['redis']), { status: 0, stdout: '', stderr: '' })
    t.same(await calls(), [])
  }
  const { setup, install, calls } = await machine(t)
  await install('apt-get')
  t.match(setup(['redis'], { REDIS_URL: 'redis://elsewhere' }), { status: 0, stdout: '' })
  t.same(await calls(), [])
})

t.test('redis: installs a server with the system\'s package manager', async t => {
  const managers: Record<string, string[]> = {
    'apt-get': ['apt-get update', 'apt-get install -y --no-install-recommends redis-server'],
    dnf: ['dnf install -y redis'],
    apk: ['apk add --no-cache redis'],
    brew: ['brew install redis']
  }
  for (const [name, expected] of Object.entries(managers)) {
    const { setup, install, calls, folder } = await machine(t)
    await install('sudo', '[ "$2" = true ] && exit 0; shift; exec "$@"')
    await install(name, `case "$*" in *redis*) echo > ${folder}/bin/redis-server; chmod +x ${folder}/bin/redis-server;; esac`)
    t.match(setup(['redis']), { status: 0, stdout: `Installing a Redis server with ${name}, because there is none and REDIS_URL is not set …\n` }, name)
    t.same((await calls()).filter(call => !call.startsWith('sudo')), expected)
  }
})

t.test('tools of the tests: installs them with the system\'s package manager', async t => {
  for (const [step, binary, packageName = binary] of [['nginx', 'nginx'], ['haproxy', 'haproxy'], ['chromium', 'chromium'], ['prometheus', 'promtool', 'prometheus']] as const) {
    const { setup, install, calls, folder } = await machine(t)
    await install('sudo', '[ "$2" = true ] && exit 0; shift; exec "$@"')
    await install('apt-get', `case "$*" in *${packageName}*) echo > ${folder}/bin/${binary}; chmod +x ${folder}/bin/${binary};; esac`)
    t.equal(setup([step], { REDIS_URL: 'redis://elsewhere' }).status, 0)
    t.equal(setup([step]).stdout, '', 'installed only once')
    t.same((await calls()).filter(call => !call.startsWith('sudo')), ['apt-get update', `apt-get install -y --no-install-recommends ${packageName}`])
  }
})

t.test('starts, stops and enables no service of a Debian package', async t => {
  const { setup, install, calls, folder } = await machine(t)
  for (const name of ['invoke-rc.d', 'deb-systemd-invoke', 'deb-systemd-helper']) await install(name)
  // Like apt-get, runs the packages' install scripts with the PATH of its option; like those, calls the programs by name.
  await install('apt-get', `case $1 in update) exit;; esac
    for option do case $option in DPkg::Path=*) PATH=\${option#*=};; esac; done
    PATH=\${PATH%%:*}:${folder}/bin
    invoke-rc.d nginx start && deb-systemd-invoke restart nginx.service || exit 1
    deb-systemd-helper unmask nginx.service; deb-systemd-helper --quiet enable nginx.service
    echo > ${folder}/bin/nginx; chmod +x ${folder}/bin/nginx`)
  t.match(setup(['nginx']), { status: 0, stderr: '' })
  t.same((await calls()).slice(2), ['deb-systemd-helper unmask nginx.service', 'deb-systemd-helper --quiet update-state nginx.service'])
})

t.test('finds a tool in the sbin beside a bin of the PATH', async t => {
  const { setup, folder } = await machine(t)
  await mkdir(join(folder, 'sbin'))
  await writeFile(join(folder, 'sbin', 'nginx'), '', { mode: 0o755 })
  t.match(setup(['nginx']), { status: 0, stdout: '', stderr: '' })
})

t.test('builds tap once for each content of .taprc', async t => {
  const { setup, install, calls, folder } = await machine(t)
  await mkdir(join(folder, 'node_modules'))
  await writeFile(join(folder, '.taprc'), 'one')
  await install('tap', 'exit 1')
  t.match(setup(['tap']), { status: 1, stderr: /This command failed:\n {2}tap build/ })
  await install('tap')
  t.match(setup(['tap']), { status: 0, stdout: 'Building tap with the plugins of .taprc (tap build) …\n' })
  t.match(setup(['tap']), { status: 0, stdout: '' })
  await writeFile(join(folder, '.taprc'), 'two')
  t.equal(setup(['tap']).status, 0)
  t.same(await calls(), ['tap build', 'tap build', 'tap build'])
})

t.test('redis: prints the command to run when it can\'t install a server', async t => {
  const bare = await machine(t)
  const powerless = await machine(t)
  await powerless.install('dnf')
  t.match(powerless.setup(['redis'], {}, 65534), { status: 1, stderr: /Run this, then try again:\n {2}sudo dnf install -y redis \|\| sudo dnf install -y valkey\n/ })
  t.same(await powerless.calls(), [])
  t.match(bare.setup(['redis']), { status: 1, stderr: /no package manager known here .*install Redis 7 or later, or set REDIS_URL\.\n$/ })

  const broken = await machine(t)
  await broken.install('apt-get', 'echo "mirror is down"; exit 100')
  await broken.install('sudo', '[ "$2" = true ] && exit 0; shift; exec "$@"')
  t.match(broken.setup(['redis']), { status: 1, stderr: /mirror is down\n\nThis command failed:\n {2}(sudo -n )?apt-get update\n$/ })

  const useless = await machine(t)
  await useless.install('apk')
  await useless.install('sudo', 'true')
  t.match(useless.setup(['redis']), { status: 1, stderr: 'apk put no redis-server or valkey-server on the PATH.\n' })
})
