import { StartError } from '../../src/errors.ts'

/** Milliseconds for an answer; the service promises one second. */
const PATIENCE = 5000

export interface Answer {
  status: number
  text: string
}

/**
 * One request; `json` is its body, `apiKey` the key of the internal API.
 * @throws StartError when there is no answer.
 */
export async function request (method: string, url: string, { json, apiKey }: { json?: string, apiKey?: string } = {}): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method,
      headers: {
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...(apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` })
      },
      body: json ?? null,
      signal: AbortSignal.timeout(PATIENCE)
    })
    return { status: response.status, text: await response.text() }
  } catch (err) {
    const { message, cause } = err as Error & { cause?: { code?: string } }
    throw new StartError(`${method} ${url} got no answer: ${cause?.code ?? message}.`)
  }
}
