process.env.TEST_REDIS = 'sentinel'
await import('../overload/rates-count.test.ts')
