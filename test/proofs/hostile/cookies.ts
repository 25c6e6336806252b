import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Kinds, type Make } from './attack.ts'
import { otherDevice, type Bystander } from './targets.ts'
import { tokens } from './tokens.ts'
import { request } from './wire.ts'

/**
 * `Cookie` headers of browsers' routes. The malformed ones have a bystander's current token and its device: only the cookie, or the site
 * that the request comes from, can be refused. A log-out answers 204 to a refused cookie, and ends nothing.
 */

const NAME = '__Host-refresh'

const deviceOf = (deviceId: string): string => Buffer.from(deviceId).toString('base64url')

/** The value that the bystander's browser would send. */
const valueOf = ({ deviceId, refreshToken }: Pick<Bystander, 'deviceId' | 'refreshToken'>): string => `${deviceOf(deviceId)}.${refreshToken}`

/** Sends header lines to one of the two routes. */
function sending (random: Random, lines: string[], refused: number[] = [400], loggedOut: number[] = [204]): ReturnType<Make> {
  const path = pick(random, ['refresh', 'logout'])
  return { ...ask(request('POST', `/api/ps/session/${path}`, lines)), may: path === 'refresh' ? refused : loggedOut }
}

/** Spellings of a cookie that no browser sends. */
function malformed (random: Random, target: Bystander): string {
  const value = valueOf(target)
  const [device, token] = [deviceOf(target.deviceId), target.refreshToken]
  const at = between(random, 0, value.length - 1)
  return pick(random, [
    '', '=', ';', NAME, `${NAME}=`, `${NAME}=.`, `${NAME}=..`, `${NAME}=...`, `${NAME}=....`, `${NAME}=${device}`, `${NAME}=${token}`,
    `${NAME} =${value}`, `${NAME}= ${value}`, `${NAME}="${value}"`, `${NAME}=${encodeURIComponent(value).replaceAll('.', '%2E')}`, `=${NAME}=${value}`,
    `refresh=${value}`, `__host-refresh=${value}`, `__Secure-refresh=${value}`, `${NAME}=${value},`,
    `${NAME}=${value}, Domain=a`, `$Version=1,${NAME}=${value}`,
    `${NAME}=${device}==.${token}`, `${NAME}=${device}.${token}.`, `${NAME}=.${value}`, `${NAME}=${device}.${token}=`, `${NAME}=gA.${token}`,
    `${NAME}=${value.slice(0, at)}${pick(random, ['!', '"', '%', '\\', '\u00e9', ' ', '\t', '.', '=', '/', '+'])}${value.slice(at)}`,
    `${NAME}=${'A'.repeat(pick(random, [4000, 8000, 12_000]))}.${token}`, `${NAME}=${device}.${token}${'A'.repeat(pick(random, [4000, 12_000]))}`,
    `${NAME}=${'.'.repeat(between(random, 1, 4000))}`, `${Array.from({ length: between(random, 1, 500) }, (_, i) => `c${i}=x`).join('; ')}`
  ])
}

/** Values of `Sec-Fetch-Site` and `Origin` of pages that may use no cookie. */
const FOREIGN = [
  ['Sec-Fetch-Site: cross-site'], ['Sec-Fetch-Site: same-site'], ['Sec-Fetch-Site: same-site', 'Origin: http://evil.a'], ['Sec-Fetch-Site:'],
  ['Sec-Fetch-Site: same-origin', 'Sec-Fetch-Site: cross-site'], ['Sec-Fetch-Site: "same-origin"'], ['Sec-Fetch-Site: SAME-ORIGIN'],
  ['Origin: null'], ['Origin:'], ['Origin: http://evil.a'], ['Origin: https://a'], ['Origin: http://a:80'], ['Origin: http://a/'], ['Origin: HTTP://A'],
  ['Origin: http://a http://evil.a'],
  ['Origin: http://a.evil.a', 'X-Forwarded-Host: a.evil.a'], ['Origin: //a'], ['Origin: a'], ['Origin: \u00ff']
]

/** The attacks by tokens, in a cookie. */
const byTokens: Kinds = Object.fromEntries(Object.entries(tokens).map(([kind, make]) => [kind, (random, targets) => {
  const text = Buffer.concat(make(random, targets).pieces).toString()
  const { deviceId, refreshToken } = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4))
  return sending(random, [`Cookie: ${NAME}=${deviceOf(deviceId)}.${String(refreshToken).replace(/[^!-~]/g, '~')}`])
}]))

export const cookies: Kinds = {
  ...byTokens,
  'a cookie that is none': (random, { bystanders }) => {
    const target = pick(random, bystanders)
    return sending(random, [`Cookie: ${malformed(random, target)}`])
  },
  'a cookie of another device, or of none': (random, { bystanders }) => {
    const target = pick(random, bystanders)
    return sending(random, [`Cookie: ${NAME}=${pick(random, ['', deviceOf(otherDevice(target))])}.${target.refreshToken}`])
  },
  'a cookie twice': (random, { bystanders }) => {
    const [one, other] = [pick(random, bystanders), pick(random, bystanders)].map(target => `${NAME}=${valueOf(target)}`) as [string, string]
    const second = pick(random, [one, other, `${NAME}=`, `${NAME}=.a.b.c`])
    return sending(random, pick(random, [[`Cookie: ${one}; ${second}`], [`Cookie: ${one}`, `Cookie: ${second}`], [`Cookie: ${second};${one}`]]))
  },
  'a page of another site': (random, { bystanders }) =>
    sending(random, [`Cookie: ${NAME}=${valueOf(pick(random, bystanders))}`, ...pick(random, FOREIGN)], [403], [403])
}
