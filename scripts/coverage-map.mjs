// The files of the coverage gate, in .taprc: what production runs. Programs of the tests, such as an npm script, do not count.
export default () => ['src/**/*.ts', 'plugins/**/*.ts', 'routes/**/*.ts', 'packages/*/src/**/*.ts']
