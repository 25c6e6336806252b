import { Type } from '@sinclair/typebox'
import { ErrorResponse } from './error.ts'
import { SessionTokens } from './refresh.ts'

/** The documented answer without the refresh token, which is in the cookie. */
export const BrowserTokens = Type.Omit(SessionTokens, ['refreshToken'], {
  title: 'BrowserTokens',
  description: 'The new access token, and the current profile of the user.',
  examples: [{ id: 1, email: 'guest@keygenqt.com', role: 'GUEST', token: 'eyJ…' }]
})

/** A request that a page of another site has caused. */
export const ForeignPage = {
  ...ErrorResponse,
  description: 'The request comes from a page of another site, by `Sec-Fetch-Site` or `Origin`. Nothing has happened.'
}

export const setCookieHeader = (description: string) => ({ 'Set-Cookie': { type: 'string', description } })
