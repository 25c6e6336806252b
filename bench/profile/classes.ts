import type { Classify } from './cpu-profile.ts'

/** By function, before the file counts: these share theirs with others, or have none. */
const functions: Array<[RegExp, string]> = [
  [/^\(idle\)$/, 'idle'],
  [/^\(garbage collector\)$/, 'garbage collection'],
  // Node's own C++ and the kernel, when no JavaScript is on the stack: reading sockets, parsing HTTP, polling.
  [/^\(program\)$/, 'Node and the kernel'],
  [/^validate\d+$/, 'schema'],
  [/^(sign|signRefresh|signAccess|signCompact)$/, 'sign'],
  [/^(verifyRefresh|headerOf)$/, 'verify']
]

/** By file. What none of them names is its caller's: crypto, buffers and sockets of Node serve all of them. */
const files: Array<[RegExp, string]> = [
  [/tokens\/hmac/, 'sign'],
  [/fast-jwt|@fastify\/jwt|tokens\/(tokens|claims)/, 'verify'],
  [/ioredis|redis-parser|standard-as-callback|denque|cluster-key-slot/, 'Redis client'],
  [/src\/(sessions|stall)/, 'store'],
  [/pino|sonic-boom|abstract-logging/, 'logging'],
  [/ajv/, 'schema'],
  [/fast-json-stringify|secure-json-parse/, 'JSON'],
  [/under-pressure|src\/(protection|metrics|request-ids|trace-context)|\/plugins\//, 'hooks: ids, gate, metrics'],
  [/\/routes\/|session-tokens/, 'route'],
  [/fastify|find-my-way|fast-content-type-parse|light-my-request/, 'Fastify'],
  [/^node:(_http|internal\/http)/, 'HTTP'],
  [/^node:internal\/(process\/task_queues|timers|async_hooks)/, 'event loop']
]

/** The parts of a refresh, as the README names them. */
export const classify: Classify = ({ functionName, url }) =>
  (functions.find(([pattern]) => pattern.test(functionName)) ?? files.find(([pattern]) => pattern.test(url)))?.[1]
