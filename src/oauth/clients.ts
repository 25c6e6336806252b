import { RefreshRefused } from '#src/errors'
import { basicCredentials } from '#src/http/basic'
import { createCallers } from '#src/http/callers'
import type { ApiKey } from '#src/settings/api-keys'

/** The parameters by which a client names itself. */
export interface ClientParameters {
  client_id?: string | undefined
  client_secret?: string | undefined
}

/**
 * Returns the client of a request, from its `Authorization` header and its parameters; `undefined` for a public client that does not name
 * itself (RFC 6749 section 3.2.1).
 * @throws RefreshRefused with `invalid_client`.
 */
export type AuthenticateClient = (authorization: string | undefined, parameters: ClientParameters) => string | undefined

/**
 * Creates the authentication of clients: `client_secret_basic` for confidential clients, whose keys have the scope `oauth`, and `none` for
 * all others. The name of a caller is never the id of a public client, not even while its key lacks the scope: a session of a confidential
 * client must not become a public one by a change of the configuration.
 */
export function createClients (keys: ApiKey[]): AuthenticateClient {
  const findCaller = createCallers(keys)
  const names = new Set(keys.map(({ name }) => name))

  return (authorization, { client_id: id, client_secret: secret }) => {
    if (secret !== undefined) throw new RefreshRefused('invalid_client')
    if (authorization === undefined) {
      if (id !== undefined && names.has(id)) throw new RefreshRefused('invalid_client')
      return id
    }
    const { name, key = '' } = basicCredentials(authorization) ?? {}
    const caller = findCaller(key)
    const isClient = caller !== undefined && caller.name === name && caller.scopes.includes('oauth')
    if (!isClient || (id !== undefined && id !== name)) throw new RefreshRefused('invalid_client')
    return name
  }
}
