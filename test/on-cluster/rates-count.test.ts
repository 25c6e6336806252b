process.env.TEST_REDIS = 'cluster'
await import('../protection/rates-count.test.ts')
