process.env.TEST_REDIS = 'sentinel'
await import('../sessions/find.test.ts')
