import { Type } from '@sinclair/typebox'

/** `kid` is the key's thumbprint (RFC 7638): SHA-256 of the key, base64url. */
const common = { kid: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }), use: Type.Literal('sig') }

/** Public keys of access tokens (RFC 7517 section 5). Members not named here are left out of the answer, so private ones never leak. */
export const JwkSet = Type.Object({
  keys: Type.Array(Type.Union([
    Type.Object({ kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: Type.String(), alg: Type.Literal('EdDSA'), ...common }),
    Type.Object({ kty: Type.Literal('EC'), crv: Type.Literal('P-256'), x: Type.String(), y: Type.String(), alg: Type.Literal('ES256'), ...common }),
    Type.Object({ kty: Type.Literal('RSA'), n: Type.String(), e: Type.String(), alg: Type.Literal('RS256'), ...common })
  ]))
}, {
  title: 'JwkSet',
  description: 'All public keys. Keys that do not sign yet, and keys that no longer sign, are included.',
  examples: [{ keys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', alg: 'EdDSA', kid: 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs', use: 'sig' }] }]
})
