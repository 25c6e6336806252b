process.env.TEST_REDIS = 'cluster'
await import('../routes/refresh.test.ts')
