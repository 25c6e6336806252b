process.env.TEST_REDIS = 'cluster'
await import('../replicas.test.ts')
