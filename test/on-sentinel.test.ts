process.env.TEST_REDIS = 'sentinel'

await import('./support/every-topology.ts')
