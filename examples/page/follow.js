/**
 * Calls `onChange` when the stream of `url` opens and at each of its messages, and opens it again after it ends: what happened in between
 * is in the next look. Returns a function that ends it. EventSource could not send the access token.
 */
export function follow (session, url, onChange) {
  const leaving = new AbortController()
  const change = () => onChange().catch(() => {})

  async function listen () {
    const response = await session.fetch(url, { signal: leaving.signal })
    change()
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    for (let part = await reader.read(); !part.done; part = await reader.read()) if (part.value.includes('data:')) change()
  }

  async function run () {
    while (!leaving.signal.aborted) {
      await listen().catch(() => {})
      await new Promise(resolve => setTimeout(resolve, 1000))
    }
  }
  run()
  return () => leaving.abort()
}
