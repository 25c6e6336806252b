process.env.TEST_REDIS = 'cluster'
await import('../sessions/find.test.ts')
