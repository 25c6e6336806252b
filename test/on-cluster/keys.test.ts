process.env.TEST_REDIS = 'cluster'
await import('../deployment/keys.test.ts')
