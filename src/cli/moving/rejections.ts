import { open, rm } from 'node:fs/promises'

/** A line that was not imported. The file has no other member of the line, so no token. */
export interface Rejection {
  line: number
  userId?: number | string
  reason: string
}

/** The file of rejected lines. */
export interface Rejections {
  count: number
  write (rejections: Rejection[]): Promise<void>
  /** Removes the file if it is empty. */
  close (): Promise<void>
}

/** Creates the file, or empties it. */
export async function openRejections (path: string): Promise<Rejections> {
  const file = await open(path, 'w', 0o600)
  const rejections: Rejections = {
    count: 0,
    async write (lines) {
      rejections.count += lines.length
      if (lines.length > 0) await file.write(lines.map(line => `${JSON.stringify(line)}\n`).join(''))
    },
    async close () {
      // Not a device such as /dev/null.
      const isFile = (await file.stat()).isFile()
      await file.close()
      if (rejections.count === 0 && isFile) await rm(path, { force: true })
    }
  }
  return rejections
}
