import { dts } from 'rollup-plugin-dts'

/** Bundles the types of the plugin, so that programs that use it need neither our sources nor their import map. */
export default {
  input: 'src/plugin/index.ts',
  external: /^node:/,
  output: { file: 'dist/plugin.d.ts' },
  plugins: [dts({ tsconfig: 'tsconfig.json' })]
}
