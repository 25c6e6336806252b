process.env.TEST_REDIS = 'sentinel'
await import('../routes/internal.test.ts')
