/** A line of a file, without its end; `undefined` if it is too long or no UTF-8. `bytes` is the position behind it. */
export interface Line {
  number: number
  text: string | undefined
  bytes: number
}

/** Maximum bytes of a line: far more than usual. */
export const MAX_LINE = 65_536

/** Splits a stream of bytes into lines, in constant memory: the text of a line that is too long is dropped. */
export async function * readLines (input: AsyncIterable<Buffer>): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let parts: Buffer[] = []
  let length = 0
  let number = 0
  let bytes = 0

  function add (part: Buffer): void {
    length += part.length
    if (length <= MAX_LINE) parts.push(part)
    else parts = []
  }

  function take (): Line {
    const line = { number: ++number, text: length > MAX_LINE ? undefined : decode(Buffer.concat(parts)), bytes }
    parts = []
    length = 0
    return line
  }

  function decode (line: Buffer): string | undefined {
    try {
      return decoder.decode(line).trim()
    } catch {
      return undefined
    }
  }

  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, end))
      bytes += end + 1 - from
      from = end + 1
      yield take()
    }
    // A copy: the parts of a long line must not keep whole chunks.
    if (from < chunk.length) {
      add(Buffer.from(chunk.subarray(from)))
      bytes += chunk.length - from
    }
  }
  if (length > 0) yield take()
}
