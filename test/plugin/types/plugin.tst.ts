import type { FastifyInstance } from 'fastify'
import { Cluster, Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis-5'
import { describe, expect, test } from 'tstyche'
import refreshTokens, {
  type GivenClient, type ListedSession, type RefreshTokensOptions, type SessionEvent, type Sessions, type TokensOfSession
} from '#src/plugin/index'

declare const app: FastifyInstance
declare const sessions: Sessions
declare const options: RefreshTokensOptions

describe('the plugin', () => {
  test('is registered with its options', () => {
    expect(app.register).type.toBeCallableWith(refreshTokens, options)
    expect(app.register).type.not.toBeCallableWith(refreshTokens, { ...options, accessTokenTtl: '900' })
    expect(app.sessions).type.toBe<Sessions>()
  })

  test('takes a client of ioredis 5 and 6, or an address', () => {
    expect<Redis>().type.toBeAssignableTo<GivenClient>()
    expect<Cluster>().type.toBeAssignableTo<GivenClient>()
    expect<Redis5>().type.toBeAssignableTo<GivenClient>()
    expect<RefreshTokensOptions['redis']>().type.toBe<GivenClient | string>()
  })

  test('requires redis and the secrets of refresh tokens', () => {
    expect<{ redis: string, refreshTokenSecrets: string }>().type.toBeAssignableTo<RefreshTokensOptions>()
    expect<{ redis: string }>().type.not.toBeAssignableTo<RefreshTokensOptions>()
  })
})

describe('app.sessions', () => {
  test('gives the five keys', () => {
    expect(sessions.refresh({ deviceId: '', refreshToken: '' })).type.toBe<Promise<TokensOfSession>>()
    expect<keyof TokensOfSession>().type.toBe<'id' | 'email' | 'role' | 'token' | 'refreshToken'>()
    expect(sessions.list(1)).type.toBe<Promise<ListedSession[]>>()
    expect(sessions.revoke).type.not.toBeCallableWith(1)
  })
})

test('an event tells its kind by its type', () => {
  expect<Extract<SessionEvent, { type: 'ended' }>['reason']>().type.toBe<'logout' | 'reuse' | 'replaced' | 'evicted' | 'expired'>()
})
