import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceProcess } from './helper.ts'

/** What a process of the service holds when it has nothing to do. */
export interface Memory {
  /** Bytes of the JavaScript heap that are in use after a garbage collection. */
  heap: number
  /** Bytes outside of it: buffers. */
  external: number
  /** Open sockets of TCP, by which nobody else than clients comes here; Redis is at a unix socket. */
  sockets: number
}

/**
 * On SIGWINCH, which means nothing else to a service: collects garbage, what only a later turn lets go of too, and writes
 * what remains as a line of the log.
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

/** For the environment of a process that `measure` is to be asked about. */
export const measurable = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(HOOK)}` }

/** How often to look whether the sockets of clients that have gone are closed here, too. */
const LOOKS = 200

/** Measures it as it is now. */
export async function measureNow (service: ServiceProcess): Promise<Memory> {
  const count = service.lines.filter(line => line.startsWith('{"memory":')).length + 1
  service.child.kill('SIGWINCH')
  return JSON.parse(await service.line(`{"memory":${count},`)) as Memory
}

/** Measures it once all its clients have gone, or do not seem to go. */
export async function measure (service: ServiceProcess): Promise<Memory> {
  for (let left = LOOKS; ; left--) {
    const memory = await measureNow(service)
    if (memory.sockets === 0 || left === 0) return memory
    await delay(10)
  }
}
