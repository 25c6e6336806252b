import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Kinds } from './attack.ts'
import type { Bystander } from './targets.ts'
import { JSON_TYPE, refreshing } from './wire.ts'

/**
 * `Idempotency-Key` headers. The malformed ones come with a bystander's current token and its device: only the header can be
 * refused, and the token must stay unused.
 */

const NAMES = ['Idempotency-Key', 'idempotency-key', 'IDEMPOTENCY-KEY']

/** Values that are no string of Structured Fields and no bare token. */
const MALFORMED = [
  '', '""', '"', '"a', 'a"', '"a"b', '"a" "b"', '"a", "b"', 'a, b', '"a";q=1', '"\\"', '"\\a"', '"a\tb"', '"\u00e9"', '\u00ff', 'a b', '(a b)', '{}',
  '[]', '@1', '%22a%22"', '<a>', '?0', '\'a" ', '\\', '"\u007f"', '"\u0000"', '$(id)', 'a\\b', '"a" ; "b"'
]

/** A value that is no key, some of them too long. */
const malformed = (random: Random): string => {
  const size = pick(random, [256, 257, 1000, 10_000, 15_000, 40_000])
  return pick(random, [...MALFORMED, 'x'.repeat(size), `"${'x'.repeat(size)}"`, `"${'\\\\'.repeat(size)}"`, '"'.repeat(between(random, 1, 300))])
}

const request = ({ deviceId, refreshToken }: Pick<Bystander, 'deviceId' | 'refreshToken'>, random: Random, values: string[]): Buffer =>
  refreshing({ deviceId, refreshToken }, [JSON_TYPE, ...values.map(value => `${pick(random, NAMES)}: ${value}`)])

export const idempotencyKeys: Kinds = {
  'a key that is none': (random, { bystanders }) => ask(request(pick(random, bystanders), random, [malformed(random)])),
  'a key twice': (random, { bystanders }) =>
    ask(request(pick(random, bystanders), random, pick(random, [['a', 'a'], ['"a"', '"b"'], ['"a', 'b"'], ['', 'a'], ['a', ''], ['"a"', malformed(random)]]))),
  'a key of any kind': (random, targets) => {
    const own = targets.take()
    const text = Array.from({ length: between(random, 1, 255) }, () => pick(random, ['a', 'Z', '0', '-', '~', '/', '=', ':', '_', '.', '!', '#', '*'])).join('')
    const value = pick(random, [text, `"${text}"`, '" "', '"(a, b);c=1"', '"\\"\\\\"', '"__proto__"', 'constructor', '-', '"-"'])
    return { ...ask(request(own, random, [value])), may: [200], own }
  }
}
