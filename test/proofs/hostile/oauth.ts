import { randomBytes } from 'node:crypto'
import { apiKey } from '../../support/helper.ts'
import { between, pick, type Random } from '../../support/random.ts'
import { ask, type Attack, type Kinds } from './attack.ts'
import { otherDevice, type Bystander, type Own, type Targets } from './targets.ts'
import { tokens } from './tokens.ts'
import { request } from './wire.ts'

/** Forms, headers and client authentications for the OAuth routes. */

/** The key of the confidential client `shop`, and of the caller `reader`, which is no client. */
export const [shopKey, readerKey] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]

const FORM = 'Content-Type: application/x-www-form-urlencoded'

const PATHS = ['/oauth/token', '/oauth/revoke']

/** A request for either route: each ignores the parameters of the other. */
const form = (refreshToken: string, deviceId: string | undefined): string => new URLSearchParams({
  grant_type: 'refresh_token', refresh_token: refreshToken, token: refreshToken, ...deviceId !== undefined && { device_id: deviceId }
}).toString()

const post = (random: Random, body: Buffer | string, lines: string[] = []): Attack =>
  ({ ...ask(request('POST', pick(random, PATHS), [FORM, ...lines], body)), face: 'oauth' })

/** The right form of a bystander: only the change that follows can be refused. */
const right = ({ refreshToken, deviceId }: Bystander): string => form(refreshToken, deviceId)

/** Text of a form with some unusual bytes. */
const anyForm = (random: Random): string => Array.from({ length: between(random, 0, 60) }, () => pick(random, [
  'grant_type', 'refresh_token', 'token', 'device_id', 'client_id', '=', '=', '&', '&', '%', '%00', '%zz', '%ff', '%', '+', '[]', ';', '\u00e9', '?', '#',
  '\n', '__proto__', 'constructor', '{', '"'
])).join('')

const BROKEN: Array<(text: string, random: Random) => string> = [
  text => `${text}&x=%`, text => `${text}&%zz=1`, text => `${text}&x=%ff`, text => `${text}&x=%c0%80`, text => `${text}&x=%ed%a0%80`, text => `${text}&x=\u00e9`,
  text => `${text}\u0000\u0080`, text => encodeURIComponent(text), text => text.replaceAll('&', ';'), text => text.replaceAll('=', ':'), text => JSON.stringify(text),
  text => `<form>${text}</form>`, text => text.replaceAll('token', 'TOKEN'), text => text.replaceAll('token=', 'token[]='), text => text.replaceAll('token=', 'token%00='),
  (_text, random) => anyForm(random)
]

const REPEATED = ['grant_type=refresh_token', 'refresh_token=x', 'token=x', 'device_id=x', 'client_id=a&client_id=a', 'client_secret=a&client_secret=a']

const basic = (credentials: string): string => `Authorization: Basic ${Buffer.from(credentials).toString('base64')}`

/** Headers that authenticate no client. */
const UNKNOWN = [
  ...[
    '', ':', 'shop', 'shop:', `:${shopKey}`, `shop:${shopKey}x`, `shop:${shopKey.slice(0, -1)}`, `shop:${shopKey}:`, `shop :${shopKey}`, `Shop:${shopKey}`,
    `shop\u0000:${shopKey}`, `shop:${shopKey}%`, `shop:%ff${shopKey}`, `shop:${readerKey}`, `reader:${shopKey}`, `reader:${readerKey}`, `default:${apiKey}`,
    `shop:${apiKey}`, `client:${shopKey}`, `__proto__:${shopKey}`, `shop:${'x'.repeat(5000)}`, `shop:${shopKey.toLowerCase()}!`
  ].map(basic),
  ...[
    '', 'Basic', 'Basic ', 'Basic !', `Basic ${shopKey}`, `Basic shop:${shopKey}`, `Bearer ${shopKey}`, `Bearer ${apiKey}`, `DPoP ${shopKey}`, 'Digest username="shop"',
    `Basic${shopKey}`, `Basic ${'A'.repeat(9000)}`
  ].map(value => `Authorization: ${value}`)
]

const SECRETS = [
  `client_id=shop&client_secret=${shopKey}`, `client_secret=${shopKey}`, 'client_id=app&client_secret=x', 'client_id=shop', 'client_id=reader', 'client_id=%73hop'
]

/** Client ids that are none of a confidential client. */
const PUBLIC = ['', 'default', 'Shop', ' shop', 'shop ', 'shop%00', '__proto__', '*', 'x'.repeat(9000), '\ufeffshop'].map(encodeURIComponent)

const ERROR_OR_NOTHING = [200, 400]

/** A 200 of a revocation that ended nothing; the records are compared afterwards. */
const stranger = (random: Random, { bystanders }: Targets): Bystander => pick(random, bystanders)

export const oauth: Kinds = {
  'a form that is broken': (random, targets) => {
    const target = stranger(random, targets)
    return { ...post(random, pick(random, BROKEN)(form(target.refreshToken, otherDevice(target)), random)), may: ERROR_OR_NOTHING }
  },
  'a form with broken bytes, from the right device': (random, targets) =>
    post(random, pick(random, BROKEN.slice(0, 7))(right(stranger(random, targets)), random)),
  'a parameter twice': (random, targets) => {
    const repeated = pick(random, REPEATED)
    const path = repeated.startsWith('token=') ? '/oauth/revoke' : /^(grant|refresh)/.test(repeated) ? '/oauth/token' : pick(random, PATHS)
    const text = right(stranger(random, targets))
    return { ...ask(request('POST', path, [FORM], pick(random, [`${text}&${repeated}`, `${repeated}&${text}`]))), face: 'oauth' }
  },
  'another grant, or none': (random, targets) => {
    const type = pick(random, ['', 'password', 'authorization_code', 'client_credentials', 'refresh', 'REFRESH_TOKEN', '__proto__', 'x'.repeat(9000), '%00'])
    const text = right(stranger(random, targets)).replace('grant_type=refresh_token', `grant_type=${type}`)
    return { ...ask(request('POST', '/oauth/token', [FORM], text)), face: 'oauth' }
  },
  'a body that is no form': (random, targets) => {
    const { refreshToken, deviceId } = stranger(random, targets)
    const type = pick(random, ['application/json', 'text/plain', 'multipart/form-data; boundary=a', '', '*/*', 'application/x-www-form-urlencodedx', 'application/xml'])
    const body = pick(random, [form(refreshToken, deviceId), JSON.stringify({ grant_type: 'refresh_token', refresh_token: refreshToken, token: refreshToken, device_id: deviceId })])
    return { ...ask(request('POST', pick(random, PATHS), [`Content-Type: ${type}`], body)), face: 'oauth' }
  },
  'a form that is too large': (random, targets) => post(random, `${right(stranger(random, targets))}&x=${'x'.repeat(pick(random, [32_768, 100_000]))}`),
  'a client that is not authenticated': (random, targets) =>
    ({ ...post(random, right(stranger(random, targets)), [pick(random, UNKNOWN)]), may: [401] }),
  'a client that authenticates in the body, or not at all': (random, targets) =>
    ({ ...post(random, `${right(stranger(random, targets))}&${pick(random, SECRETS)}`), may: [401] }),
  'a client that disagrees with itself': (random, targets) =>
    ({ ...post(random, `${right(stranger(random, targets))}&client_id=${pick(random, ['app', 'reader', 'Shop', 'shop%20'])}`, [basic(`shop:${shopKey}`)]), may: [401] }),
  'an Idempotency-Key that is none': (random, targets) => {
    const key = pick(random, ['', '"', '"a"b', 'a b', '"\u00e9"', 'x'.repeat(256), '{}', '"a", "b"'])
    return { ...ask(request('POST', '/oauth/token', [FORM, `Idempotency-Key: ${key}`], right(stranger(random, targets)))), face: 'oauth' }
  },
  'a token from another device or client': (random, targets) => {
    const target = stranger(random, targets)
    const client = pick(random, [[], [basic(`shop:${shopKey}`)]])
    return post(random, form(target.refreshToken, pick(random, [otherDevice(target), undefined])), client)
  },
  'a token of any kind': (random, targets) => {
    const [bytes] = pick(random, Object.values(tokens))(random, targets).pieces
    const { refreshToken } = JSON.parse(bytes!.toString().split('\r\n\r\n')[1]!) as Own
    return { ...post(random, form(refreshToken, 'the device of nobody')), may: ERROR_OR_NOTHING }
  },
  'its own odd client': (random, targets) => {
    const own = targets.take()
    const client = pick(random, PUBLIC)
    const body = `x=%00&__proto__=y&${form(own.refreshToken, own.deviceId)}${pick(random, ['', `&client_id=${client}`, '&client_id=', '&&&'])}`
    return { ...ask(request('POST', '/oauth/token', [pick(random, [FORM, `${FORM}; charset=UTF-8`])], body)), may: [200], own, face: 'oauth' }
  },
  'a confidential client with a session of nobody': (random, targets) => {
    const own = targets.take()
    const lines = [FORM, basic(`${pick(random, ['shop', '%73hop'])}:${shopKey}`)]
    return { ...ask(request('POST', '/oauth/token', lines, form(own.refreshToken, own.deviceId))), may: [200], own, face: 'oauth' }
  }
}
