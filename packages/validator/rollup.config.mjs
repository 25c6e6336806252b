import { dts } from 'rollup-plugin-dts'

/** Bundles the types; esbuild bundles the code. The package gets a copy of the service's modules that it uses. */
export default {
  input: { index: 'src/index.ts', fastify: 'src/fastify.ts' },
  external: /^node:/,
  output: { dir: 'dist', entryFileNames: '[name].d.ts' },
  plugins: [dts({ tsconfig: '../../tsconfig.json' })]
}
