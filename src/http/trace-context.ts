/** The caller's ids in W3C Trace Context: 32 and 16 lower-case hex digits. */
export interface TraceContext {
  traceId: string
  /** The caller's span ("parent-id" in the header), which is the parent of our spans. */
  parentSpanId: string
}

/** Version ff and all-zero ids are invalid. Future versions may add fields after another dash. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-.*)?$/

/** Length of a version 00 header, which ends after its flags, in characters. */
const LENGTH_OF_00 = 55

/**
 * Parses a `traceparent` header by W3C Trace Context, levels 1 and 2 (which differ in one flag). Returns undefined for an
 * invalid header, which is then ignored. Repeated headers are invalid too, because Node joins them with a comma.
 */
export function parseTraceparent (header: string): TraceContext | undefined {
  if (!TRACEPARENT.test(header) || (header.startsWith('00') && header.length > LENGTH_OF_00)) return undefined
  return { traceId: header.slice(3, 35), parentSpanId: header.slice(36, 52) }
}
