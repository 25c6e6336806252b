process.env.TEST_REDIS = 'sentinel'
await import('../faults.test.ts')
