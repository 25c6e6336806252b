process.env.TEST_REDIS = 'cluster'
await import('../validator/redis.test.ts')
