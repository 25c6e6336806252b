process.env.TEST_REDIS = 'sentinel'
await import('../routes/refresh.test.ts')
