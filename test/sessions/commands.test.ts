import { readdir, readFile } from 'node:fs/promises'
import t from 'tap'
import { announceKeys, claimIssuer, createCommands } from '#src/sessions/commands'

/** The headers of the scripts document exactly the arguments that the scripts read, and that the commands send. */

const folder = new URL('../../src/sessions/lua/', import.meta.url)

/** The numbers in `ARGV[4]`, `ARGV[1..3]` and `ARGV[2..]`, an open range up to 9. */
function numbersIn (text: string): Set<number> {
  return new Set([...text.matchAll(/ARGV\[(\d+)(?:\.\.(\d*))?\]/g)].flatMap(([, from, to]) => {
    const last = Number(to === undefined ? from : to || 9)
    return Array.from({ length: last - Number(from) + 1 }, (_, i) => Number(from) + i)
  }))
}

async function read (name: string): Promise<{ header: string, body: string }> {
  const lines = (await readFile(new URL(`${name}.lua`, folder), 'utf8')).split('\n')
  const end = lines.findIndex(line => !line.startsWith('--') && !line.startsWith('#!'))
  return { header: lines.slice(0, end).join('\n'), body: lines.slice(end).join('\n') }
}

t.test('every header documents exactly the arguments that its script reads', async t => {
  for (const file of await readdir(folder)) {
    const name = file.replace('.lua', '')
    const { header, body } = await read(name)
    t.ok(header.replace('#!lua', '').includes(`-- ${file}: `), file)
    const common = numbersIn(/^-- (?:KEYS, )?(ARGV\S+) +see common.lua/m.exec(header)?.[1] ?? '')
    // `2..` in a header; rotate.lua has an argument for each key from the sixth on.
    const rest = body.includes('#ARGV') ? numbersIn('ARGV[2..]') : body.includes('#KEYS') ? numbersIn('ARGV[6..]') : []
    t.same(numbersIn(header), new Set([...common, ...numbersIn(body), ...rest]), file)
    t.equal(/^#!lua/.test(header), /^-- Reply: /m.test(header), `${file}: a script, unlike an included file, has a reply`)
  }
})

t.test('every command sends as many arguments as the header documents', async t => {
  const commands = createCommands({ prefix: 'rt:', idleTtl: 1, absoluteTtl: 1, retryWindow: 1, maxSessionsPerUser: 1 })
  const token = { id: 1, sid: 's', gen: 1, exp: 1 }
  const sent = [
    commands.open('s', { userId: 1, deviceId: 'd', email: 'e', role: 'r' }), commands.rotate([{ token, deviceId: 'd', credentials: {} }]), commands.logOut(token, 'd'),
    commands.revokeAll(1), commands.erase(1), commands.list(1), commands.findRefreshable(token), commands.updateProfile(1, {}),
    commands.findImported(['a'])
  ]
  for (const { script, argv } of sent) {
    const { header } = await read(script)
    t.equal(2 + argv.length, Math.max(...numbersIn(header.replace('ARGV[6..]', 'ARGV[6]'))), script)
  }
  t.equal(claimIssuer('rt:', 'i', 1).length, 3 + 2)
  t.equal(announceKeys('rt:', ['a', 'b'], 1).length, 3 + 1 + 2)
})
