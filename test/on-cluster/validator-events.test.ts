process.env.TEST_REDIS = 'cluster'
await import('../validator/events.test.ts')
