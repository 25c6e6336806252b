// Lets Node run the TypeScript sources: `node --import ./scripts/typescript.mjs src/server.ts`. Not for production,
// which runs the output of `npm run build`.
// It does nothing for compiled tests.
if (!process.argv[1]?.endsWith('.js')) {
  await import('tsx')
  // @fastify/autoload detects tsx only when the process is started by the tsx command.
  process.env.FASTIFY_AUTOLOAD_TYPESCRIPT = '1'
}

// tap preloads its loader in every process that a test starts, which doubles the time of a start. Only tap's own coverage needs it there.
globalThis[Symbol.for('process-on-spawn@*:singletonId')]?.unwrap()

// The tests start nginx and HAProxy. Debian installs them in folders that are not on the PATH of ordinary users.
process.env.PATH += ':/usr/local/sbin:/usr/sbin:/sbin'
