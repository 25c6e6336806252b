// The direction of imports: each room may import the rooms below it. `npm run lint` checks this list.
const rooms = [
  ['validator', '^packages/validator/'],
  ['cli', '^src/cli/'],
  ['server', '^src/server\\.ts$'],
  ['app', '^src/app\\.ts$'],
  ['plugin', '^src/plugin/'],
  ['routes', '^routes/'],
  ['plugins', '^plugins/'],
  ['oauth', '^src/oauth/'],
  ['console', '^src/console/'],
  ['core', '^src/core/'],
  ['cookies', '^src/cookies/'],
  ['listener', '^src/client-errors\\.ts$'],
  ['deployment', '^src/deployment/'],
  ['introspection', '^src/introspection/'],
  ['metrics', '^src/metrics/'],
  ['audit', '^src/audit/'],
  ['overload', '^src/overload/'],
  ['openapi', '^src/openapi/'],
  ['schemas', '^src/schemas/'],
  ['sessions', '^src/sessions/'],
  ['embedded', '^src/embedded/'],
  ['redis', '^src/redis/'],
  ['http', '^src/http/'],
  ['config', '^src/config/'],
  ['dpop', '^src/dpop/'],
  ['tokens', '^src/tokens/'],
  ['settings', '^src/settings/'],
  ['foundation', '^src/(errors|health|signals|timeout|version)\\.ts$|^src/log/']
]

export default {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'client-imports-only-its-own-files',
      severity: 'error',
      from: { path: '^packages/client/src/' },
      to: { pathNot: '^packages/client/src/' }
    },
    {
      name: 'validator-bundles-no-server-code',
      severity: 'error',
      from: { path: '^packages/validator/' },
      to: { path: '^(routes|plugins)/|^src/', pathNot: '^src/(redis|settings|tokens)/|^src/dpop/(binding|proof|replay)\\.ts$|^src/(http/bearer|log/redact|timeout)\\.ts$' }
    },
    ...rooms.map(([name], i) => ({
      name: `${name}-imports-only-what-is-below`,
      severity: 'error',
      from: { path: rooms[i][1] },
      to: { path: rooms.slice(0, i).map(([, path]) => path) }
    })).slice(1)
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
    doNotFollow: { path: 'node_modules' }
  }
}
