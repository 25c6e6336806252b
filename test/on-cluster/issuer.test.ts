process.env.TEST_REDIS = 'cluster'
await import('../deployment/issuer.test.ts')
