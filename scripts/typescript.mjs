// Lets Node run the TypeScript sources: `node --import ./scripts/typescript.mjs src/server.ts`. Not for production,
// which runs what `npm run build` made.
import 'tsx'

// @fastify/autoload knows tsx by its command alone.
process.env.FASTIFY_AUTOLOAD_TYPESCRIPT = '1'

// Debian keeps nginx and HAProxy, which the tests start, where the PATH of ordinary users does not lead.
process.env.PATH += ':/usr/local/sbin:/usr/sbin:/sbin'
