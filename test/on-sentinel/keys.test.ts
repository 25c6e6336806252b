process.env.TEST_REDIS = 'sentinel'
await import('../deployment/keys.test.ts')
