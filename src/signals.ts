import { isatty } from 'node:tty'

/** Signals that start a graceful shutdown. nodemon sends SIGUSR2. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGQUIT', 'SIGUSR2'] as const

/** Signals of a crash. A handler would keep the crashing process alive, because it returns to the instruction that failed. */
const CRASHES = ['SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV'] as const

/** Signals that close-with-grace must not handle. */
export const SIGNALS = [...ENDING, 'SIGHUP' as const, ...CRASHES]

/**
 * Milliseconds after the first signal in which further signals are ignored. Ctrl-C reaches the whole process group, and
 * npm then forwards the same signal; other process managers send SIGTERM after it.
 */
const REPEAT = 1000

/**
 * Calls `close` at the first ending signal, and `endNow` at any that comes more than a second later. SIGHUP is an ending
 * signal where standard input is a terminal, because the terminal was closed; elsewhere it is ignored, because log
 * rotation sends it. The listeners stay for the life of the process: without one, Node restores the system's default.
 */
export function onEndingSignal (close: (signal: string) => void, endNow: (signal: string) => void): void {
  let first: number | undefined
  const onSignal = (signal: string): void => {
    if (first === undefined) {
      first = performance.now()
      close(signal)
    } else if (performance.now() - first > REPEAT) {
      endNow(signal)
    }
  }
  for (const signal of ENDING) process.on(signal, onSignal)
  process.on('SIGHUP', isatty(0) ? onSignal : () => {})
}
