import { TIMEOUT } from '#src/sessions/runner'

/** Milliseconds within which the public listener answers, whatever happens; docs/protection.md shows how. */
const PROMISE = 1000

/** Milliseconds that Redis has to say whether a rate is exceeded; after that it is taken not to be. */
export const RATE_LIMIT_TIMEOUT = 50

/**
 * Mean delay of the event loop, milliseconds, above which there is pressure: what the promise leaves when Redis has taken
 * all of its time, for both limits and the refresh, less a margin for writing the answer.
 */
export const MAX_EVENT_LOOP_DELAY = PROMISE - TIMEOUT - 2 * RATE_LIMIT_TIMEOUT - 50

/** Milliseconds between two looks at it. A stall as long as this counts as pressure by itself, so it is no shorter. */
export const SAMPLE_INTERVAL = 250

/**
 * Connections of the public listener, of which Node closes any more at once. Turning a request away takes some 30 µs of
 * CPU, so when all of them ask once at the same time the last one still hears within the promise.
 */
export const MAX_CONNECTIONS = 10_000

/** Connections that may wait to be accepted; the system has a limit of its own. Those over it would try again a second later. */
export const BACKLOG = 4096
