import t from 'tap'
import { claimsMistake, MAX_CLAIMS_BYTES, readClaims, reservedClaims } from '#src/tokens/custom-claims'

/** The limits of a login service's claims, and how those of a user and a session become one. */

/** Claims of exactly so many bytes of JSON. */
const sized = (bytes: number, character = 'x'): object => ({ a: character.repeat((bytes - '{"a":""}'.length) / Buffer.byteLength(character)) })

t.test('accepts any names and values within the limits', async t => {
  const good = [
    {}, { '': null }, { role: 'x', email: 1, scope: 'a b', ID: 1, toString: 1, constructor: 2 }, { a: { b: [[{ iss: 1 }]] } }, sized(MAX_CLAIMS_BYTES),
    sized(MAX_CLAIMS_BYTES, 'é')
  ]
  for (const claims of good) t.equal(claimsMistake(claims), undefined, JSON.stringify(claims).slice(0, 40))
})

t.test('rejects reserved names, and names them', async t => {
  t.same(reservedClaims.length, 16)
  for (const name of reservedClaims) t.equal(claimsMistake({ a: 1, [name]: null }), `must not contain the reserved name ${name}`)
  t.equal(claimsMistake({ exp: 1, a: 1, sid: 2 }), 'must not contain the reserved names exp, sid')
})

t.test('rejects claims that are too deep or too long', async t => {
  t.equal(claimsMistake({ a: { b: [[[[1]]]] } }), 'must be at most 5 levels deep')
  const deep = JSON.parse(`{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`)
  t.equal(claimsMistake(deep), 'must be at most 5 levels deep')
  for (const long of [sized(MAX_CLAIMS_BYTES + 1), sized(MAX_CLAIMS_BYTES + 2, 'é')]) t.equal(claimsMistake(long), 'must be at most 1024 bytes of JSON')
})

t.test('a session\'s claim replaces the user\'s, and nobody can change the result', async t => {
  const claims = readClaims('{"plan":"gold","tags":["a",{"b":{}}]}', '{"amr":["pwd"],"plan":"trial"}')
  t.same(claims, { plan: 'trial', tags: ['a', { b: {} }], amr: ['pwd'] })
  for (const part of [claims, claims['tags'], (claims['tags'] as object[])[1], (claims['tags'] as Array<{ b: object }>)[1]!.b]) t.ok(Object.isFrozen(part))
  for (const none of [undefined, null, '']) t.same(readClaims(none, none), {})
  t.throws(() => readClaims('{', ''), SyntaxError)
})
