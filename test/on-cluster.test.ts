process.env.TEST_REDIS = 'cluster'

await import('./support/every-topology.ts')
