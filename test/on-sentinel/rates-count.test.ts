process.env.TEST_REDIS = 'sentinel'
await import('../protection/rates-count.test.ts')
