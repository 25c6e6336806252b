process.env.TEST_REDIS = 'cluster'

await import('./sessions/store.test.ts')
await import('./sessions/find.test.ts')
await import('./routes/internal.test.ts')
await import('./routes/refresh.test.ts')
await import('./deployment/issuer.test.ts')
await import('./deployment/keys.test.ts')
await import('./overload/rates-count.test.ts')
await import('./validator/events.test.ts')
await import('./validator/redis.test.ts')
await import('./replicas.test.ts')
await import('./faults.test.ts')
