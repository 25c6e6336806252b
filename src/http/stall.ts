// A process that stood still (SIGSTOP, a paused container, a starved machine) finds old requests in the kernel's buffers when
// it resumes. Their clients gave up long ago and repeated them on other replicas. If such a request ran now, its token might
// be two generations old, and end its session as reused. Old and new requests can't be told apart, so every request that
// is read right after a stall counts as if it had arrived before the stall.

/** Milliseconds between two heartbeats of the process. */
const HEARTBEAT_INTERVAL = 100

/** Longer pauses count as stalls, milliseconds. Every request is answered within a second, so no client gives up earlier. */
const STALL_THRESHOLD = 1000

/** Maximum connections that wait to be accepted; the system may cap it. Clients beyond it retry their connection a second later. */
export const BACKLOG = 4096

/** Turns of the event loop that empty the buffers: Node accepts one connection in a turn, and reads from it in the next. */
const EMPTYING_TURNS = BACKLOG + 10

/**
 * Last time at which no request in the buffers was from before a stall, by `performance.now()`. `Infinity` until
 * `watchForStalls()` is called.
 */
let awakeAt = Infinity

/** Call it when the process begins to listen; later calls change nothing. A slow start is no stall, because no requests wait during it. */
export function watchForStalls (): void {
  if (awakeAt !== Infinity) return
  awakeAt = performance.now()
  heartbeat()
}

function heartbeat (): void {
  if (performance.now() - awakeAt > STALL_THRESHOLD) {
    emptyBuffers(EMPTYING_TURNS)
  } else {
    awakeAt = performance.now()
    setTimeout(heartbeat, HEARTBEAT_INTERVAL).unref()
  }
}

function emptyBuffers (turns: number): void {
  if (turns === 0) {
    awakeAt = performance.now()
    heartbeat()
  } else {
    // Not unref'd: otherwise an idle event loop would wait for events between the turns.
    setImmediate(emptyBuffers, turns - 1)
  }
}

/** Whether a request that is read now may have waited while the process stood still. */
export function isCatchingUp (now = performance.now()): boolean {
  return now - awakeAt > STALL_THRESHOLD
}

/** Earliest time at which a request that is read now may have arrived, by `performance.now()`: `now`, unless there was a stall. */
export function waitingSince (now: number): number {
  return isCatchingUp(now) ? awakeAt : now
}
