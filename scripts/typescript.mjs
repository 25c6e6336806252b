// Lets Node run the TypeScript sources: `node --import ./scripts/typescript.mjs src/server.ts`. Not for production,
// which runs what `npm run build` made.
import 'tsx'

// @fastify/autoload knows tsx by its command alone.
process.env.FASTIFY_AUTOLOAD_TYPESCRIPT = '1'
