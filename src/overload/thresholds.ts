import { TIMEOUT } from '#src/sessions/runner'

/** Milliseconds within which the public listener always answers; docs/protection.md explains how. */
const PROMISE = 1000

/** Milliseconds for Redis to check a rate; after that the request is not limited. */
export const RATE_LIMIT_TIMEOUT = 50

/**
 * Mean delay of the event loop, milliseconds, above which the listener is under pressure: `PROMISE` less the full time-outs
 * of Redis, for both limits and the refresh, and less a margin for writing the answer.
 */
export const MAX_EVENT_LOOP_DELAY = PROMISE - TIMEOUT - 2 * RATE_LIMIT_TIMEOUT - 50

/** Milliseconds between samples of that delay. No shorter, because a single stall of this length counts as pressure. */
export const SAMPLE_INTERVAL = 250

/**
 * Maximum connections of the public listener; Node closes the excess at once. Turning a request away takes some 30 µs of
 * CPU, so if all connections send one request at the same time, the last one is still answered within `PROMISE`.
 */
export const MAX_CONNECTIONS = 10_000
