process.env.TEST_REDIS = 'sentinel'
await import('../validator/redis.test.ts')
