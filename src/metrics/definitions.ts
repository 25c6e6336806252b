import { endReasons } from '#src/sessions/replies'

/**
 * Name, help text and labels of every metric of our own. docs/metrics.md has the same table; a test compares the two.
 * Labels have few and known values, never values that a client sent.
 */

/**
 * How refreshes end: the outcomes of a rotation; `malformed`, `invalid_client`, `forged` and `invalid_proof` before a rotation;
 * `limited` for a 429; `overloaded` for requests turned away with a 500; `unavailable` for every other 500; `aborted` when the
 * client's connection broke before its request was complete, or before it was processed.
 */
export const refreshOutcomes = [
  'rotated', 'retried', 'recovered', 'malformed', 'invalid_client', 'forged', 'invalid_proof', 'unknown', 'device_mismatch',
  'client_mismatch', 'key_mismatch', 'expired', 'reused', 'unavailable', 'limited', 'overloaded', 'aborted'
] as const

export type RefreshOutcome = typeof refreshOutcomes[number]

/**
 * How log-outs by clients end: `ended` the session, or found it `absent`. The others are as for refreshes; `unavailable` includes
 * a log-out that too few replicas have.
 */
export const logoutOutcomes = [
  'ended', 'absent', 'malformed', 'invalid_client', 'forged', 'device_mismatch', 'client_mismatch', 'unavailable', 'limited', 'overloaded', 'aborted'
] as const

export type LogoutOutcome = typeof logoutOutcomes[number]

/**
 * Upper bounds in seconds: from a script's usual fraction of a millisecond to beyond the second within which the endpoint
 * promises an answer. 0.5 and 0.75 lie on either side of the 0.7 seconds after which the service gives up on Redis.
 */
export const LATENCY_BUCKETS = [0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5]

export const definitions = {
  refreshes: {
    name: 'rts_refresh_requests_total',
    help: 'Requests to the refresh endpoint, by outcome.',
    labelNames: ['outcome'],
    values: refreshOutcomes
  },
  logouts: {
    name: 'rts_logouts_total',
    help: 'Requests to the log-out endpoint, by outcome.',
    labelNames: ['outcome'],
    values: logoutOutcomes
  },
  opened: {
    name: 'rts_sessions_opened_total',
    help: 'Sessions opened.'
  },
  ended: {
    name: 'rts_sessions_ended_total',
    help: 'Sessions that a script ended, by reason.',
    labelNames: ['reason'],
    values: endReasons
  },
  requests: {
    name: 'rts_http_request_duration_seconds',
    help: 'Time from a request\'s headers to the end of its answer, by route.',
    labelNames: ['surface', 'method', 'route', 'status'],
    buckets: LATENCY_BUCKETS
  },
  unmatched: {
    name: 'rts_http_unmatched_requests_total',
    help: 'Requests that match no route.',
    labelNames: ['surface'],
    values: ['public', 'internal']
  },
  scripts: {
    name: 'rts_redis_script_duration_seconds',
    help: 'Time from the call of a Lua script to its reply, by result.',
    labelNames: ['script', 'result'],
    buckets: LATENCY_BUCKETS
  },
  connected: {
    name: 'rts_redis_connected',
    help: 'Whether the listener has a usable connection to Redis (1) or not (0).',
    labelNames: ['surface']
  },
  reconnects: {
    name: 'rts_redis_reconnects_total',
    help: 'Reconnections to Redis.',
    labelNames: ['surface'],
    values: ['public', 'internal']
  },
  clock: {
    name: 'rts_redis_clock_ahead_seconds',
    help: 'Seconds by which Redis\'s clock is ahead of this machine\'s, negative if behind; includes a step forward since the last scrape.',
    labelNames: ['surface']
  },
  ready: {
    name: 'rts_ready',
    help: 'Whether the process is ready for requests (1) or not (0): the answer of /readyz at the time of the scrape.'
  },
  unknownKeys: {
    name: 'rts_unknown_signing_keys',
    help: 'Signing keys of other replicas, used in the last minutes, that this replica does not know: it refuses their tokens.'
  },
  logDropped: {
    name: 'rts_log_lines_dropped_total',
    help: 'Log lines that were dropped because their reader was too slow.'
  },
  eventLoop: {
    name: 'rts_event_loop_active_seconds_total',
    help: 'Time that the event loop was busy; its rate is the utilisation, at most 1.'
  },
  build: {
    name: 'rts_build_info',
    help: 'Always 1; the labels hold the running versions.',
    labelNames: ['version', 'node_version']
  }
} as const
