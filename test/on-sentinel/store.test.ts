process.env.TEST_REDIS = 'sentinel'
await import('../sessions/store.test.ts')
