import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceProcess } from './helper.ts'

/** Memory and sockets of an idle service process. */
export interface Memory {
  /** Bytes of the JavaScript heap that are in use after a garbage collection. */
  heap: number
  /** Bytes outside the heap: buffers. */
  external: number
  /** Open TCP sockets. All belong to clients, because Redis is at a unix socket. */
  sockets: number
}

/**
 * Handles SIGWINCH, which the service does not use: collects garbage in five turns of the event loop, and logs the
 * measurement as one line.
 */
const HOOK = `
  import { setImmediate as turn } from 'node:timers/promises'
  import { setFlagsFromString } from 'node:v8'
  import { runInNewContext } from 'node:vm'
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  let count = 0
  process.on('SIGWINCH', async () => {
    for (let i = 0; i < 5; i++) {
      collect()
      await turn()
    }
    const { heapUsed, external } = process.memoryUsage()
    const sockets = process.getActiveResourcesInfo().filter(type => type === 'TCPSocketWrap').length
    console.log(JSON.stringify({ memory: ++count, heap: heapUsed, external, sockets }))
  })`

/** Environment variables of a process for `measure`. */
export const measurable = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(HOOK)}` }

/** Maximum number of repeats while sockets of departed clients are still open. */
const ATTEMPTS = 200

/** Measures the process now. */
export async function measureNow (service: ServiceProcess): Promise<Memory> {
  const count = service.lines.filter(line => line.startsWith('{"memory":')).length + 1
  service.child.kill('SIGWINCH')
  return JSON.parse(await service.line(`{"memory":${count},`)) as Memory
}

/** Measures the process once all client sockets are closed, or after `ATTEMPTS` attempts. */
export async function measure (service: ServiceProcess): Promise<Memory> {
  for (let left = ATTEMPTS; ; left--) {
    const memory = await measureNow(service)
    if (memory.sockets === 0 || left === 0) return memory
    await delay(10)
  }
}
