process.env.TEST_REDIS = 'cluster'
await import('../faults.test.ts')
