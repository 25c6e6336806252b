import type { Classify } from './cpu-profile.ts'

/** Classes by function name, checked before the file: these functions share a file with others, or have none. */
const functions: Array<[RegExp, string]> = [
  [/^\(idle\)$/, 'idle'],
  [/^\(garbage collector\)$/, 'garbage collection'],
  // Node's C++ code and the kernel, without JavaScript on the stack: reading sockets, parsing HTTP, polling.
  [/^\(program\)$/, 'Node and the kernel'],
  [/^validate\d+$/, 'schema'],
  [/^(sign|signRefresh|signAccess|signCompact)$/, 'sign'],
  [/^(verify|verifyRefresh|headerOf|isEqual)$/, 'verify']
]

/** Classes by file. An unlisted frame counts for its caller: all classes use Node's crypto, buffers and sockets. */
const files: Array<[RegExp, string]> = [
  [/tokens\/hmac/, 'sign'],
  [/fast-jwt|@fastify\/jwt|tokens\/(tokens|claims)/, 'verify'],
  [/ioredis|redis-parser|standard-as-callback|denque|cluster-key-slot/, 'Redis client'],
  [/src\/(sessions|redis)\//, 'store'],
  [/pino|abstract-logging|src\/log\//, 'logging'],
  [/ajv/, 'schema'],
  [/fast-json-stringify|secure-json-parse/, 'JSON'],
  [/under-pressure|src\/(overload|metrics|http)\/|\/plugins\//, 'hooks: ids, concurrency limit, metrics'],
  [/\/routes\/|src\/schemas\//, 'route'],
  [/fastify|find-my-way|fast-content-type-parse|light-my-request/, 'Fastify'],
  [/^node:(_http|internal\/http)/, 'HTTP'],
  [/^node:internal\/(process\/task_queues|timers|async_hooks)/, 'event loop']
]

/** Assigns a frame to a part of a refresh, with the README's names of the parts. */
export const classify: Classify = ({ functionName, url }) =>
  (functions.find(([pattern]) => pattern.test(functionName)) ?? files.find(([pattern]) => pattern.test(url)))?.[1]
