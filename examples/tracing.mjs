// Optional OpenTelemetry for the refresh service: preload this file. The service itself does not depend on it.
//
//   node --import ./tracing/tracing.mjs dist/src/server.js
//
// It makes one SERVER span for each request, and below it a CLIENT span for each Redis command. docs/tracing.md lists the packages
// to install beside it.
import { subscribe } from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { context, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const { OTEL_SERVICE_NAME = 'refresh-token-service', OTEL_TRACES_EXPORTER = 'console' } = process.env

/** Attributes that a span may export. An allow-list, so that attributes added by a later instrumentation are not exported. */
const harmless = new Set([
  'http.request.method', 'http.route', 'http.response.status_code',
  'db.system.name', 'db.operation.name', 'server.address', 'server.port'
])

/**
 * Redacts secrets and personal data in a span: paths hold user and session ids, script arguments hold e-mail addresses,
 * error messages quote the client's input. Also clears the error status of requests refused with a status below 500.
 */
const discretion = {
  onStart () {},
  onEnd (span) {
    for (const name of Object.keys(span.attributes)) if (!harmless.has(name)) delete span.attributes[name]
    span.events.length = 0
    delete span.status.message
    if (span.attributes['http.response.status_code'] < 500) span.status.code = SpanStatusCode.UNSET
  },
  async forceFlush () {},
  async shutdown () {}
}

/** Writes one line of JSON for each span to standard error, because standard output is the service's log. */
const lines = {
  export (spans, done) {
    for (const span of spans) console.error(JSON.stringify(describe(span)))
    done({ code: 0 })
  },
  async shutdown () {}
}

function describe (span) {
  const [seconds, nanoseconds] = span.duration
  return {
    span: span.name,
    kind: SpanKind[span.kind],
    ...span.spanContext(),
    parentSpanId: span.parentSpanContext?.spanId,
    milliseconds: seconds * 1e3 + nanoseconds / 1e6,
    status: span.status,
    attributes: span.attributes,
    events: span.events
  }
}

/** The exporter itself reads `OTEL_EXPORTER_OTLP_ENDPOINT` and similar variables. */
async function createExporter () {
  if (OTEL_TRACES_EXPORTER === 'console') return lines
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter()
}

const provider = new NodeTracerProvider({
  resource: resourceFromAttributes({ 'service.name': OTEL_SERVICE_NAME }),
  spanProcessors: [discretion, new BatchSpanProcessor(await createExporter())]
})
provider.register()

traceRequests()
traceRedis()

function traceRequests () {
  // Fastify announces every new app on a diagnostics channel, so this needs no patching and no loader.
  new FastifyOtelInstrumentation({
    registerOnInitialization: true,
    instrumentHooks: false,
    instrumentHandler: false,
    ignorePaths: ({ url }) => /^\/(healthz|readyz|metrics)\b/.test(url),
    requestHook: (span, { method, routeOptions: { url } }) => { span.updateName(url === undefined ? method : `${method} ${url}`) }
  }).enable()

  subscribe('fastify.initialization', ({ fastify }) => {
    // The process ends when its apps have closed, so flush first. A failed export does not prevent closing.
    fastify.addHook('onClose', async () => { await provider.forceFlush({ timeoutMillis: 1000 }).catch(() => {}) })
  })
}

/**
 * ioredis queues the service's commands in a pipeline until the end of the event loop's turn and sends them together, in the
 * context of the first. This patch restores the context of each command's call; a Cluster may move a command into a second
 * pipeline, so the first context is kept. ioredis is CommonJS, so `require` and the service's `import` share one copy. Without
 * a loader, the instrumentation sees only `require`.
 */
function traceRedis () {
  new IORedisInstrumentation().enable()

  const { Pipeline, Redis } = createRequire(import.meta.url)('ioredis')
  const called = Symbol('context of the call')
  const { sendCommand: queue } = Pipeline.prototype
  Pipeline.prototype.sendCommand = function (command) {
    command[called] ??= context.active()
    return queue.call(this, command)
  }
  const { sendCommand: send } = Redis.prototype
  Redis.prototype.sendCommand = function (command, ...rest) {
    return context.with(command[called] ?? context.active(), send, this, command, ...rest)
  }
}
