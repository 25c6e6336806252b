// OpenTelemetry for the refresh service, by whoever wants it: preload this file, the service itself knows nothing of it.
//
//   node --import ./tracing/tracing.mjs dist/src/server.js
//
// It gives one SERVER span a request and a CLIENT span below it for each command to Redis. docs/tracing.md says which
// packages it wants beside it.
import { subscribe } from 'node:diagnostics_channel'
import { createRequire } from 'node:module'
import { FastifyOtelInstrumentation } from '@fastify/otel'
import { context, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { IORedisInstrumentation } from '@opentelemetry/instrumentation-ioredis'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, NodeTracerProvider } from '@opentelemetry/sdk-trace-node'

const { OTEL_SERVICE_NAME = 'refresh-token-service', OTEL_TRACES_EXPORTER = 'console' } = process.env

/** What a span may say. A list of what may stay, so that whatever an instrumentation adds one day stays here. */
const harmless = new Set([
  'http.request.method', 'http.route', 'http.response.status_code',
  'db.system.name', 'db.operation.name', 'server.address', 'server.port'
])

/**
 * Takes the secrets and the people out of a span: paths have user and session ids, arguments of scripts e-mail addresses,
 * messages of errors quote what a client sent. Also, a refused request is not an error of the server's.
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

/** A line of JSON a span, on standard error: standard output is the service's log. */
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

/** `OTEL_EXPORTER_OTLP_ENDPOINT` and the like are read by the exporter itself. */
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
  // Fastify says itself when an app is made: nothing is patched, and no loader is needed.
  new FastifyOtelInstrumentation({
    registerOnInitialization: true,
    instrumentHooks: false,
    instrumentHandler: false,
    ignorePaths: ({ url }) => /^\/(healthz|readyz|metrics)\b/.test(url),
    requestHook: (span, { method, routeOptions: { url } }) => { span.updateName(url === undefined ? method : `${method} ${url}`) }
  }).enable()

  subscribe('fastify.initialization', ({ fastify }) => {
    // The process ends when its apps have closed, and it is to close whether the spans find a taker or not.
    fastify.addHook('onClose', async () => { await provider.forceFlush({ timeoutMillis: 1000 }).catch(() => {}) })
  })
}

/**
 * The service's commands wait in a pipeline for the end of the event loop's turn and are sent together, in the context of the
 * first. Each is given back its own, that of its call; a Cluster may put it into a second pipeline. ioredis is CommonJS, so
 * it is the same one to `require` and to the service's `import`; the instrumentation hears of `require` alone, without a loader.
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
