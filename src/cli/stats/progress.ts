import { grouped, type Terminal } from '#src/cli/output'

/** Milliseconds between two redraws. */
const INTERVAL = 100

export interface Progress {
  /** Redraws the bar; `share` is from 0 to 1. */
  show (share: number, users: number): void
  /** Erases the bar. */
  end (): void
}

/** Draws a one-line progress bar on a terminal; draws nothing on any other output. */
export function createProgress (terminal: Terminal): Progress {
  if (terminal.isTTY !== true) return { show () {}, end () {} }
  let last = -Infinity
  return {
    show (share, users) {
      const now = performance.now()
      if (now - last < INTERVAL) return
      last = now
      const tail = ` ${String(Math.floor(share * 100)).padStart(3)} %  ${grouped(users)} users`
      // One column stays free: a full line would wrap, and the next redraw could not overwrite it.
      const room = Math.max(0, Math.min(40, terminal.columns! - tail.length - 3))
      const done = Math.floor(share * room)
      terminal.write(`\r\u001b[K[${'#'.repeat(done)}${'-'.repeat(room - done)}]${tail}`)
    },
    end () {
      terminal.write('\r\u001b[K')
    }
  }
}
