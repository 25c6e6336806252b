// A process that stood still (SIGSTOP, a paused container, a starved machine) finds requests in the kernel's buffers when
// it goes on. Their clients gave up long ago and repeated them elsewhere: run now, a token that was the newest then may be
// two generations old, and end its session as reused. Nothing tells such a request from one of this moment. So whatever is
// read right after standing still counts as if it had arrived before.

/** How often the process notes that it runs, milliseconds. */
const BEAT = 100

/** Standing still for longer counts, milliseconds: within a second every request is answered, so before it nobody gives up. */
const STALL = 1000

/** Turns of the event loop that surely read what was in the buffers: a turn may accept one connection, and 511 of them can wait. */
const TURNS = 1024

/** When this process last ran and had read all that was there, by `performance.now()`. Always, until it is watched. */
let awakeAt = Infinity

/** To be called when the process begins to listen: the start may take its time, and nothing waits in the meantime. */
export function watchForStalls (): void {
  awakeAt = performance.now()
  beat()
}

function beat (): void {
  if (performance.now() - awakeAt > STALL) {
    readOn(TURNS)
  } else {
    awakeAt = performance.now()
    setTimeout(beat, BEAT).unref()
  }
}

function readOn (turns: number): void {
  if (turns === 0) {
    awakeAt = performance.now()
    beat()
  } else {
    // Not unref'd: a loop that nothing keeps awake would wait for events between the turns.
    setImmediate(readOn, turns - 1)
  }
}

/** Whether a request that is taken up now may have waited while the process stood still. */
export function isCatchingUp (now = performance.now()): boolean {
  return now - awakeAt > STALL
}

/** Since when a request that is taken up now may have been waiting, by `performance.now()`: now, but for a stall. */
export function waitingSince (now: number): number {
  return isCatchingUp(now) ? awakeAt : now
}
