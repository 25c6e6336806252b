process.env.TEST_REDIS = 'sentinel'
await import('../deployment/issuer.test.ts')
