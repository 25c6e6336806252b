import { Type } from '@sinclair/typebox'

/** The usual error answer of both listeners. The API document adds a description and an example for each status. */
export const ErrorResponse = Type.Object({
  code: Type.Integer({ description: 'The HTTP status' }),
  message: Type.String({ description: 'For people; programs read the status' })
}, { title: 'Error' })

/** A 500 of the public listener. */
export const Unavailable = {
  ...ErrorResponse,
  description: 'Every failure of the service. The session is not gone: keep the token and try again.',
  headers: { 'Retry-After': { type: 'integer', minimum: 1, description: 'Seconds to wait, when the request was turned away because of overload' } }
}

/** A 429 of the public listener. */
export const TooMany = {
  ...ErrorResponse,
  description: 'Only when rate limiting is on (`RATE_LIMIT_PER_ADDRESS`, `RATE_LIMIT_PER_SESSION`): too many requests from this address or ' +
    'for this session. The session continues: keep the token and try again after the seconds in `Retry-After`.',
  headers: { 'Retry-After': { type: 'integer', minimum: 1, description: 'Seconds until the rate allows requests again' } }
}
