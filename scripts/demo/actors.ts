import { randomInt } from 'node:crypto'
import type { Static } from '@sinclair/typebox'
import type { SessionTokens } from '../../src/schemas/refresh.ts'
import { check, generationOf, printAnswer, printRequest } from './print.ts'
import { request, type Answer } from './request.ts'
import type { Service } from './service.ts'

/** What happens in the story. Each prints a request and its answer, and checks the answer. */
export interface Actors {
  /** The login service opens a session; returns its refresh token. */
  open (deviceId: string): Promise<string>
  /** A device refreshes and must get this generation; returns the new refresh token. */
  refresh (deviceId: string, refreshToken: string, generation: number): Promise<string>
  /** A refresh that must be refused. */
  refused (deviceId: string, refreshToken: string, why: string): Promise<void>
  /** Every session of the user ends. */
  logOutEverywhere (): Promise<void>
  /** The same without a word, for a story that broke off. */
  cleanUp (): Promise<void>
}

const KEYS = 'id,email,role,token,refreshToken'
const REFUSAL = '{"code":400,"message":"Bad Request"}'

/** A user of the demo's own: another one at every run, and where no counter gets, so that real users in the same Redis are safe. */
const user = { userId: Number.MAX_SAFE_INTEGER - randomInt(2 ** 47), email: 'guest@keygenqt.com', role: 'GUEST' }

const sessionsPath = `/internal/users/${user.userId}/sessions`

/** @param signal ends the story before its next request. */
export function createActors ({ publicUrl, internalUrl, apiKey }: Service, signal: AbortSignal): Actors {
  const post = async (url: string, path: string, body: object, key?: string): Promise<Answer> => {
    signal.throwIfAborted()
    const json = JSON.stringify(body)
    printRequest('POST', path, key !== undefined, json)
    return shown(await request('POST', `${url}${path}`, { json, ...(key === undefined ? {} : { apiKey: key }) }))
  }
  const refresh = async (deviceId: string, refreshToken: string): Promise<Answer> =>
    await post(publicUrl, '/api/ps/refresh', { deviceId, refreshToken })
  const logOut = async (): Promise<Answer> => await request('DELETE', `${internalUrl}${sessionsPath}`, { apiKey })

  return {
    open: async deviceId => {
      const body = { ...user, deviceId, label: `Demo ${deviceId}` }
      const answer = await post(internalUrl, '/internal/sessions', body, apiKey)
      const opened = refreshTokenIn(answer, 201, 1)
      check(opened !== undefined, `201 with the five keys; the ${deviceId} holds generation 1`)
      return opened
    },
    refresh: async (deviceId, refreshToken, generation) => {
      const answer = await refresh(deviceId, refreshToken)
      const renewed = refreshTokenIn(answer, 200, generation)
      check(renewed !== undefined, `200 with the five keys; the ${deviceId} holds generation ${generation}`)
      return renewed
    },
    refused: async (deviceId, refreshToken, why) => {
      const { status, text } = await refresh(deviceId, refreshToken)
      check(status === 400 && text === REFUSAL, `400: ${why}`)
    },
    logOutEverywhere: async () => {
      signal.throwIfAborted()
      printRequest('DELETE', sessionsPath, true)
      check(shown(await logOut()).status === 204, '204: every session of the user has ended')
    },
    cleanUp: async () => { await logOut().catch(() => {}) }
  }
}

function shown (answer: Answer): Answer {
  printAnswer(answer.status, answer.text)
  return answer
}

/**
 * The refresh token of an answer that has this status, the documented keys in their order, our user's values and this
 * generation; `undefined` for every other answer.
 */
function refreshTokenIn ({ status, text }: Answer, expected: number, generation: number): string | undefined {
  if (status !== expected || !text.startsWith('{"id":')) return undefined
  const body: Static<typeof SessionTokens> = JSON.parse(text)
  const ours = body.id === user.userId && body.email === user.email && body.role === user.role
  const right = ours && Object.keys(body).join() === KEYS && generationOf(body.refreshToken) === generation
  return right ? body.refreshToken : undefined
}
