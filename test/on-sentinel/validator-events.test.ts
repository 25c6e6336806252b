process.env.TEST_REDIS = 'sentinel'
await import('../validator/events.test.ts')
