process.env.TEST_REDIS = 'cluster'
await import('../sessions/store.test.ts')
