import fc from 'fast-check'
import t from 'tap'
import { isUserId, parseUserId, userIdJson } from '#src/tokens/user-id'

/** Ids of users: integers and texts, and nothing that two users could share. */

const ids = [
  1, Number.MAX_SAFE_INTEGER, 'a', 'user_01h455vb4pex5vsknk084sn02q', '01ARZ3NDEKTSV4RRFFQ69G5FAV', '0x1', '1.0', '1e3', 'auth0|5f7c8ec7c33c6c004bbafe82',
  'guest@keygenqt.com', '018f4e2a-7c1e-7b1a-9f6e-3b2f7f3c1d22', `a${'~'.repeat(127)}`
]

t.test('accepts positive safe integers, and texts that are not digits alone', async t => {
  for (const id of ids) {
    t.ok(isUserId(id), String(id))
    t.equal(parseUserId(String(id)), id, `${id} in a path`)
    t.equal(String(userIdJson(id)), JSON.stringify(id))
  }
})

t.test('rejects every other value', async t => {
  const none = [
    0, -1, 1.5, 2 ** 53, NaN, Infinity, 1n, null, undefined, true, {}, [1], ['a'], Object('a'), '', '0', '1', '007', '9'.repeat(90), ' a', 'a ', 'a b',
    'a\n', '\na', 'a\u0000', 'a:b', '{a}', 'a/b', 'a*', 'a"b', 'a\\b', 'a%20b', 'é', '１２', '-a', '_a', '.a', '~a', `a${'b'.repeat(128)}`
  ]
  for (const value of none) t.notOk(isUserId(value), JSON.stringify(String(value)))
  for (const text of ['', '0', '01', '-1', '9007199254740992', '99999999999999999999', 'a:b', ' 1']) t.equal(parseUserId(text), undefined, text)
})

t.test('two ids never have the same text, and the text has no colon', async () => {
  const id = fc.oneof(fc.integer({ min: 1 }), fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._~@|-]{0,127}$/).filter(isUserId))
  fc.assert(fc.property(id, id, (one, other) =>
    isUserId(one) && !String(one).includes(':') && parseUserId(String(one)) === one && (one === other) === (String(one) === String(other))))
})
