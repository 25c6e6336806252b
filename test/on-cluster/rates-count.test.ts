process.env.TEST_REDIS = 'cluster'
await import('../overload/rates-count.test.ts')
