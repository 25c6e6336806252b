import { readFileSync } from 'node:fs'

/** CPU and memory of a process, from /proc. */
export interface Usage {
  /** Microseconds of CPU since its start, user and system, all threads. */
  cpu: number
  /** Bytes resident. */
  rss: number
}

/** Length of a tick in /proc/<pid>/stat: Linux shows USER_HZ, 100 a second, to every program. */
const MICROSECONDS_PER_TICK = 10_000

export function usageOf (pid: number): Usage | undefined {
  try {
    // Strips the program's name, which is in parentheses and may contain any character.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ')
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1])
    return { cpu: (Number(fields[11]) + Number(fields[12])) * MICROSECONDS_PER_TICK, rss: kib * 1024 }
  } catch {
    return undefined
  }
}

/** Microseconds of CPU since the process's start; NaN where there is no /proc. */
export function cpuOf (pid: number): number {
  return usageOf(pid)?.cpu ?? NaN
}

/** Samples a process's resident memory every 50 ms until it is stopped; returns the largest in bytes. */
export function watchRss (pid: number): () => number {
  let largest = 0
  const sample = (): void => { largest = Math.max(largest, usageOf(pid)?.rss ?? 0) }
  sample()
  const timer = setInterval(sample, 50)
  return () => {
    clearInterval(timer)
    sample()
    return largest
  }
}
