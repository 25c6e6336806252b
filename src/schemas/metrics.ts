import { Type } from '@sinclair/typebox'

/** Prometheus's text format, version 0.0.4. */
export const MetricsText = Type.String({
  title: 'Metrics',
  description: 'Every metric of docs/metrics.md, in Prometheus\'s text format.',
  examples: [
    '# HELP rts_refresh_requests_total Requests to the refresh endpoint by how they ended.\n' +
    '# TYPE rts_refresh_requests_total counter\n' +
    'rts_refresh_requests_total{outcome="rotated"} 1027\n'
  ]
})
