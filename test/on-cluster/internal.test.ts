process.env.TEST_REDIS = 'cluster'
await import('../routes/internal.test.ts')
