process.env.TEST_REDIS = 'sentinel'
await import('../replicas.test.ts')
