/** The output that text is laid out for. */
export interface Screen {
  /** Characters in a line; `Infinity` when the output is no terminal. */
  columns: number
  colors: boolean
}

/** The parts of a stream used here. Only a terminal has the optional ones. */
export interface Terminal {
  isTTY?: boolean
  columns?: number
  write (text: string): unknown
  /** Respects NO_COLOR, FORCE_COLOR and TERM. */
  hasColors? (): boolean
}

export function screenOf (terminal: Terminal): Screen {
  const { isTTY = false, columns = 80 } = terminal
  return isTTY ? { columns, colors: terminal.hasColors!() } : { columns: Infinity, colors: false }
}

/** One JSON document and a line break. Terminal control characters are escaped; the parsed document is the same. */
export function toJson (document: object): string {
  const escape = (text: string): string => text.replace(/[^]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
  return `${JSON.stringify(document).replace(/\p{C}/gu, escape)}\n`
}

/** Replaces characters that control a terminal or reverse the text direction. The zero-width joiner stays: emoji need it. */
export function printable (text: string): string {
  return text.replace(/(?!\u200d)[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd')
}

/**
 * Prints rows under their headings; on a screen that is too narrow, one cell a line. The last column is not padded, so only
 * the last column may hold characters of any width.
 */
export function table (headings: string[], rows: string[][], { columns }: Screen): string {
  const widths = headings.map((_, i) => Math.max(...[headings, ...rows].map(row => row[i]!.length)))
  if (widths.reduce((sum, width) => sum + width + 2, -2) > columns) {
    const width = Math.max(...headings.map(heading => heading.length))
    return rows.map(row => row.map((cell, i) => `${headings[i]!.padEnd(width)}  ${cell}`.trimEnd() + '\n').join('')).join('\n')
  }
  return [headings, ...rows].map(row => row.map((cell, i) => cell.padEnd(widths[i]!)).join('  ').trimEnd() + '\n').join('')
}

/** "1 session", "2 sessions", "12,345 sessions" */
export function count (number: number, noun: string): string {
  return `${grouped(number)} ${noun}${number === 1 ? '' : 's'}`
}

export function grouped (number: number): string {
  return number.toLocaleString('en-US')
}

/** "312 B", "1.4 kB", "2.5 GB" */
export function bytes (number: number): string {
  const exponent = Math.min(4, Math.max(0, Math.floor(Math.log10(number) / 3)))
  const value = number / 1000 ** exponent
  return `${exponent === 0 ? Math.round(value) : value.toFixed(1)} ${['B', 'kB', 'MB', 'GB', 'TB'][exponent]}`
}

/** Milliseconds between two redraws of a progress bar. */
const REDRAW_INTERVAL = 100

export interface Progress {
  /** Redraws the bar, with a text behind it; `share` is from 0 to 1, or `undefined` if the total is unknown. */
  show (share: number | undefined, text: string): void
  /** Erases the bar. */
  end (): void
}

/** Draws a one-line progress bar on a terminal; draws nothing on any other output. */
export function createProgress (terminal: Terminal): Progress {
  if (terminal.isTTY !== true) return { show () {}, end () {} }
  let last = -Infinity
  return {
    show (share, text) {
      const now = performance.now()
      if (now - last < REDRAW_INTERVAL) return
      last = now
      if (share === undefined) {
        terminal.write(`\r\u001b[K${text}`)
        return
      }
      const tail = ` ${String(Math.floor(share * 100)).padStart(3)} %  ${text}`
      // One column stays free: a full line would wrap, and the next redraw could not overwrite it.
      const room = Math.max(0, Math.min(40, terminal.columns! - tail.length - 3))
      terminal.write(`\r\u001b[K[${'#'.repeat(Math.floor(share * room)).padEnd(room, '-')}]${tail}`)
    },
    end () {
      terminal.write('\r\u001b[K')
    }
  }
}
