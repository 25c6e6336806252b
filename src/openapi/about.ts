import type { Listener } from '#src/http/listeners'
import { version } from '#src/version'

/** Parts of the API document that do not come from routes. */

export const OPENAPI = '3.1.0'

export const info = {
  title: 'refresh-token-service',
  version,
  description: `Keeps user sessions alive: one-time refresh tokens with rotation and reuse detection.

The **public listener** is for clients, through the load balancer. The **internal listener** is for other services and for ops,
and is never exposed. Every error answer of both but OAuth's has one shape, \`{"code":400,"message":"Bad Request"}\`, and answers are
\`Cache-Control: no-store\` unless the operation says otherwise.`,
  contact: { name: 'The maintainers of refresh-token-service' },
  license: { name: 'MIT', identifier: 'MIT' }
}

/** URLs of the listeners on a development machine, with descriptions. */
export const servers: Record<Listener, { url: string, description: string }> = {
  public: { url: 'http://localhost:3000', description: 'Public listener (HOST, PORT)' },
  internal: { url: 'http://localhost:3001', description: 'Internal listener (INTERNAL_HOST, INTERNAL_PORT)' }
}

/** Settings that enable every route. */
export const everyRoute = { OAUTH_ISSUER: 'http://localhost:3000', COOKIE_SESSIONS: 'on', DPOP: 'optional', DEVICE_ROUTES: 'on' }

export const tags = [
  { name: 'Refresh', description: 'For clients: refresh or end a session.' },
  { name: 'OAuth', description: 'For OAuth clients, on the public listener: the same, with any OAuth library. Only with `OAUTH_ISSUER`.' },
  { name: 'Devices', description: 'For users: list and end their own sessions. Only with `DEVICE_ROUTES`.' },
  { name: 'Sessions', description: 'For the login service and for support: open, list and end sessions.' },
  { name: 'Users', description: 'The profile that refreshes return, and everything stored about a user.' },
  { name: 'Tokens', description: 'For API services and gateways: check tokens, and find their users.' },
  { name: 'Health', description: 'For load balancers, orchestrators and Prometheus; no key needed.' }
]

export const securitySchemes = {
  internalApiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'A key of `INTERNAL_API_KEYS` with the scope that the operation needs, or `INTERNAL_API_KEY`, which has every scope (RFC 6750, ' +
      'section 2.1). `npm start` makes an `INTERNAL_API_KEY` and keeps it in `.data/secrets.env`.'
  },
  internalApiBasic: {
    type: 'http',
    scheme: 'basic',
    description: 'The same keys, for OAuth libraries: the name of the key\'s caller as the user, the key as the password (RFC 6749, section 2.3.1). ' +
      'The caller of `INTERNAL_API_KEY` is `default`.'
  },
  accessToken: {
    type: 'http',
    scheme: 'bearer',
    description: 'An access token: `token` in the answer to a refresh.'
  },
  gatewayApiKey: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Internal-Api-Key',
    description: 'A key with the scope `introspect`, for a gateway that forwards its client\'s `Authorization` header.'
  },
  refreshCookie: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-refresh',
    description: 'The refresh token and the device of a browser, with `COOKIE_SESSIONS=on`. The login service sets it with the `Set-Cookie` header ' +
      'of `POST /internal/sessions`.'
  }
} as const

/** Headers of every answer. */
export const headers = {
  'X-Request-Id': {
    description: 'The id of this request, also in its log lines. A trusted caller chooses it in `X-Request-Id`; otherwise it is random.',
    required: true,
    schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,128}$' },
    example: '5f0c7a51-3d8e-4b7a-9a44-0d6f2c1be973'
  }
} as const

/** Default descriptions of error statuses; a route may give a better one. */
export const errorDescriptions: Record<number, string> = {
  400: 'The request is invalid; the message names the first invalid field.',
  401: 'The API key is missing or wrong.',
  403: 'The API key lacks the scope that the message names.',
  404: 'There is no such thing.',
  500: 'Redis or the service failed. The request takes no effect after this answer; try again.'
}
