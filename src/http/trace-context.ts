/** Who called, as W3C Trace Context says it: 32 and 16 lower-case hex digits. */
export interface TraceContext {
  traceId: string
  /** The caller's span ("parent-id" in the header): of what we do for it, the parent. */
  parentSpanId: string
}

/** The version ff and fields of zeros alone are invalid; versions to come may go on after another dash. */
const TRACEPARENT = /^(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}(?:-.*)?$/

/** Characters of version 00, which ends after its flags. */
const LENGTH_OF_00 = 55

/**
 * Reads a `traceparent` header; undefined when it is not one by W3C Trace Context, levels 1 and 2 (which differ in one flag):
 * then it is as if there were none. Node joins repeated headers with a comma, so that they are none either.
 */
export function parseTraceparent (header: string): TraceContext | undefined {
  if (!TRACEPARENT.test(header) || (header.startsWith('00') && header.length > LENGTH_OF_00)) return undefined
  return { traceId: header.slice(3, 35), parentSpanId: header.slice(36, 52) }
}
