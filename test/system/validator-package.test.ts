import { execFileSync } from 'node:child_process'
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import ts from 'typescript'
import { build, secret, startRedis, tempFolder } from '../support/helper.ts'
import { optionsFor } from '../validator/helper.ts'

/** The export as another service gets it: by the package's name, compiled, and with nothing of the server behind it. */

/** Everything that a source loads when it runs, itself included: types are no loads. Packages by their names. */
async function loads (file: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(file)) return seen
  seen.add(file)
  const source = await readFile(file, 'utf8')
  const compiled = ts.transpileModule(source, { compilerOptions: { module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true } }).outputText
  for (const { fileName } of ts.preProcessFile(compiled).importedFiles) {
    if (fileName.startsWith('#src/')) await loads(resolve(`src/${fileName.slice(5)}.ts`), seen)
    else if (fileName.startsWith('.')) await loads(fileURLToPath(new URL(fileName, `file://${file}`)), seen)
    else seen.add(fileName)
  }
  return seen
}

t.test('it loads four packages and pure modules', async t => {
  const root = resolve('.')
  const all = [...await loads(resolve('src/validator/index.ts'))].map(name => name.replace(`${root}/`, ''))
  const outside = all.filter(name => !name.startsWith('src/validator/') && !name.startsWith('node:'))
  t.same(outside.sort(), [
    'fastify-plugin', 'ioredis', 'jose', 'lru-cache',
    'src/http/bearer.ts', 'src/log/redact.ts',
    ...['client', 'connection-log', 'connectors', 'keys', 'options', 'ready', 'topology', 'wrong-door'].map(name => `src/redis/${name}.ts`),
    'src/sessions/record.ts',
    ...['redis-url', 'socket-path', 'tls-files'].map(name => `src/settings/${name}.ts`),
    'src/tokens/claims.ts', 'src/tokens/keys.ts', 'src/tokens/signature.ts'
  ])
})

t.test('a service installs it, compiles against its types, and runs', async t => {
  const folder = await tempFolder(t)
  const installed = join(folder, 'package') // the compiler would take what lies in node_modules for somebody else's
  await mkdir(installed)
  await mkdir(join(folder, 'node_modules'))
  await symlink(installed, join(folder, 'node_modules/refresh-token-service'))
  for (const name of ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'plugins', 'routes']) {
    await cp(name, join(installed, name), { recursive: true })
  }
  await symlink(resolve('node_modules'), join(installed, 'node_modules'))
  const PATH = `${resolve('node_modules/.bin')}:${process.env.PATH}`
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'))
  execFileSync('sh', ['-c', scripts.compile], { cwd: installed, env: { PATH } })

  for (const name of ['fastify', '@types']) await symlink(resolve('node_modules', name), join(folder, 'node_modules', name))
  await writeFile(join(folder, 'package.json'), '{"type":"module"}')
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({
    compilerOptions: { module: 'NodeNext', target: 'ES2022', strict: true, types: ['node'], skipLibCheck: true, rootDir: '.' },
    files: ['service.ts']
  }))
  await writeFile(join(folder, 'service.ts'), `
    import Fastify from 'fastify'
    import { createSessionValidator, sessionValidation, SessionValidationError, type ValidSession } from 'refresh-token-service/validator'

    const app = Fastify()
    const validator = createSessionValidator({ redisUrl: process.env.REDIS_URL, prefix: process.env.PREFIX!, secrets: process.env.SECRETS })
    await app.register(sessionValidation, { validator })
    app.get('/', { onRequest: app.requireSession({ roles: ['GUEST'] }) }, async request => request.session?.email)
    const headers = { authorization: \`Bearer \${process.env.TOKEN}\` }
    console.log((await app.inject({ url: '/', headers })).body)
    const session: ValidSession = await validator.validate(process.env.TOKEN!)
    const id: number = session.id
    const code: string = await validator.validate('x').then(() => 'none', err => err instanceof SessionValidationError ? err.code : 'other')
    console.log(id, code)
    await validator.close()
  `)
  execFileSync('tsc', [], { cwd: folder, env: { PATH }, stdio: ['ignore', 'inherit', 'inherit'] })

  const redis = await startRedis(t)
  const service = await build(t, redis)
  const { token } = await service.open()
  const { prefix, secrets } = optionsFor(service)
  const env = { REDIS_URL: redis.url, PREFIX: prefix!, SECRETS: `${secret()},${String(secrets)}`, TOKEN: token }
  t.equal(execFileSync(process.execPath, ['service.js'], { cwd: folder, env, encoding: 'utf8' }), 'guest@keygenqt.com\n1 malformed\n')
})
