import { write as writeAsync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { DestinationStream } from 'pino'

/** Maximum characters of waiting lines; the write under way may hold as many again. */
const MAX_WAITING = 1024 * 1024

/** Milliseconds between two attempts to write to a full pipe or terminal. */
const RETRY = 100

/** Maximum milliseconds that a flush waits for the output. */
const LAST_WAIT = 500

const nothing = Buffer.alloc(0)

/** Destination of log lines. The service never waits for the reader: lines beyond a bounded buffer are dropped and counted. */
export interface LogOutput extends DestinationStream {
  /** Lines dropped since the start. */
  readonly dropped: number
  /** Called when a write succeeds after lines were dropped, with their number. */
  onFlow?: (dropped: number) => void
  /** Resolves when all lines are written, or after `LAST_WAIT`. */
  flush (): Promise<void>
  /** Writes all lines, for at most `LAST_WAIT`. A write under way ends by itself. */
  flushSync (): void
}

/**
 * Writes to a file descriptor, one write at a time, on a libuv thread: another process that shares the descriptor can't block
 * the event loop. Pass a non-blocking pipe: a full blocking pipe blocks the libuv thread, which delays the exit of the process.
 * pino's SonicBoom is not used, because its `flushSync` repeats a failed write for ever.
 */
export function createLogOutput (fd: number, format: (line: string) => string = line => line): LogOutput {
  let waiting: string[] = []
  let size = 0
  let chunk: Buffer = nothing
  let linesInChunk = 0
  let state: 'idle' | 'writing' | 'retrying' = 'idle'
  let dropped = 0
  let reported = 0

  function takeWaiting (): Buffer {
    const taken = Buffer.from(waiting.join(''))
    linesInChunk = waiting.length
    waiting = []
    size = 0
    return taken
  }

  function writeChunk (): void {
    state = 'writing'
    writeAsync(fd, chunk, onWritten)
  }

  function onWritten (err: NodeJS.ErrnoException | null, written: number): void {
    if (err?.code === 'EAGAIN') {
      state = 'retrying'
      setTimeout(writeChunk, RETRY).unref()
      return
    }
    if (err !== null) dropped += linesInChunk
    chunk = err === null ? chunk.subarray(written) : nothing
    if (chunk.length > 0) return writeChunk()
    state = 'idle'
    if (waiting.length > 0) {
      chunk = takeWaiting()
      writeChunk()
    }
    if (err === null && dropped > reported) {
      const missing = dropped - reported
      reported = dropped
      output.onFlow?.(missing)
    }
  }

  const output: LogOutput = {
    get dropped () { return dropped },
    write (line) {
      const text = format(line)
      if (size + text.length > MAX_WAITING) {
        dropped++
        return
      }
      waiting.push(text)
      size += text.length
      if (state !== 'idle') return
      chunk = takeWaiting()
      writeChunk()
    },
    async flush () {
      const end = performance.now() + LAST_WAIT
      const isDone = (): boolean => state === 'idle' || performance.now() > end
      while (!isDone()) await delay(5)
    },
    flushSync () {
      let rest = Buffer.concat([state === 'writing' ? nothing : chunk, takeWaiting()])
      if (state === 'retrying') chunk = nothing
      const end = performance.now() + LAST_WAIT
      while (rest.length > 0) {
        try {
          rest = rest.subarray(writeSync(fd, rest))
        } catch (err) {
          if ((err as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > end) return
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
        }
      }
    }
  }
  return output
}
