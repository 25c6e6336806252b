import { dts } from 'rollup-plugin-dts'

/** Bundles the types; esbuild bundles the code. */
export default {
  input: 'src/index.ts',
  output: { file: 'dist/index.d.ts' },
  plugins: [dts({ tsconfig: '../../tsconfig.json' })]
}
