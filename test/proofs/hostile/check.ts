import { claimsOf } from '../../support/helper.ts'
import type { Attack } from './attack.ts'
import type { Answer } from './wire.ts'

/** Every error body of the public listener. The internal listener may add the name of the wrong field. */
const ERRORS: Record<number, string> = {
  400: '{"code":400,"message":"Bad Request"}',
  401: '{"code":401,"message":"Unauthorized"}',
  403: '{"code":403,"message":"Forbidden"}',
  404: '{"code":404,"message":"Not Found"}',
  500: '{"code":500,"message":"Internal Error"}'
}

const EXPLAINED: Record<number, RegExp> = {
  400: /^\{"code":400,"message":"Bad Request: (body|params|querystring)[\w/]* must .+"\}$/,
  403: /^\{"code":403,"message":"Forbidden: the API key of gateway lacks the scope (open|read|revoke|profile)"\}$/
}

/** Describes an undocumented answer to an attack; `undefined` if all are as documented. After a 200, stores the session's new token. */
export function checkAnswers (attack: Attack, answers: Answer[]): string | undefined {
  const { may = [400], mayBeSilent = false, exactly, own, then } = attack
  if (then === 'reset') return undefined
  if (answers.length === 0 && !mayBeSilent) return 'no answer'
  if (exactly !== undefined && answers.length !== exactly) return `${answers.length} answers: ${answers.map(({ status }) => status).join()}`
  for (const answer of answers) {
    const wrong = may.includes(answer.status) ? checkAnswer(attack, answer) : `status ${answer.status}`
    if (wrong !== undefined) return wrong
    if (own !== undefined && answer.status === 200) {
      const body = JSON.parse(answer.body)
      const refreshToken: string = body.refreshToken ?? body.refresh_token
      if (claimsOf(refreshToken).gen !== claimsOf(own.refreshToken).gen + 1) return 'not the next generation'
      own.refreshToken = refreshToken
    }
  }
  return undefined
}

/** Checks an answer of the OAuth routes (RFC 6749 sections 5.1 and 5.2). */
function checkOauth ({ own, error: expected }: Attack, { status, headers, body }: Answer): string | undefined {
  if ((status === 401) !== headers.has('www-authenticate')) return 'www-authenticate'
  const { error, error_description: text, ...rest } = JSON.parse(body)
  const names = Object.keys(rest).join()
  if (status === 200) return names === (own === undefined ? '' : 'access_token,token_type,expires_in,refresh_token') ? undefined : 'another body'
  const errors = expected !== undefined
    ? [expected]
    : status === 401 ? ['invalid_client'] : ['invalid_request', 'invalid_grant', 'unsupported_grant_type']
  return errors.includes(error) && typeof text === 'string' && names === '' ? undefined : `the body ${body}`
}

function checkAnswer (attack: Attack, answer: Answer): string | undefined {
  const [{ listener, own, bodiless, face }, { status, headers, body }] = [attack, answer]
  if (headers.get('cache-control') !== 'no-store') return `cache-control: ${headers.get('cache-control')}`
  if (bodiless || status === 204) return body === '' ? undefined : 'a body'
  if (headers.get('content-type') !== 'application/json; charset=utf-8') return `content-type: ${headers.get('content-type')}`
  if (face === 'oauth') return checkOauth(attack, answer)
  if (status === 200) {
    if (listener === 'internal') return undefined
    const { id, ...rest } = JSON.parse(body)
    return id === own?.userId && Object.keys(rest).join() === 'email,role,token,refreshToken' ? undefined : 'another body'
  }
  return body === ERRORS[status] || (listener === 'internal' && EXPLAINED[status]?.test(body)) ? undefined : `the body ${body}`
}
