import { Type } from '@sinclair/typebox'

export const Alive = Type.Object({ status: Type.Literal('ok') }, {
  title: 'Alive', description: 'The process is alive.', examples: [{ status: 'ok' }]
})

export const Ready = Type.Object({ status: Type.Literal('ready') }, {
  title: 'Ready', description: 'The process can serve requests.', examples: [{ status: 'ready' }]
})

export const NotReady = Type.Object({ status: Type.Union([Type.Literal('draining'), Type.Literal('redis unavailable')]) }, {
  title: 'NotReady',
  description: 'Send no requests: Redis can\'t be used, or the process is closing.',
  examples: [{ status: 'draining' }]
})

/** Prometheus's text format, version 0.0.4. */
export const MetricsText = Type.String({
  title: 'Metrics',
  description: 'Every metric of docs/metrics.md, in Prometheus\'s text format.',
  examples: [
    '# HELP rts_refresh_requests_total Requests to the refresh endpoint, by outcome.\n' +
    '# TYPE rts_refresh_requests_total counter\n' +
    'rts_refresh_requests_total{outcome="rotated"} 1027\n'
  ]
})
