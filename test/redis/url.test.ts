import t from 'tap'
import { parseRedisUrl } from '../../src/redis/url.ts'

t.test('what a REDIS_URL says', async t => {
  const urls: Record<string, [options: object, display: string]> = {
    'redis://cache': [{ host: 'cache', port: 6379, db: 0 }, 'redis://cache:6379/0'],
    'redis://127.0.0.1:7000/3': [{ host: '127.0.0.1', port: 7000, db: 3 }, 'redis://127.0.0.1:7000/3'],
    'redis://[::1]:7000': [{ host: '::1', port: 7000, db: 0 }, 'redis://[::1]:7000/0'],
    'redis://:p%40ss@cache': [{ host: 'cache', port: 6379, db: 0, password: 'p@ss' }, 'redis://cache:6379/0'],
    'redis://app:secret@cache/1': [{ host: 'cache', port: 6379, db: 1, username: 'app', password: 'secret' }, 'redis://cache:6379/1'],
    'rediss://app:secret@cache:6380': [{ host: 'cache', port: 6380, db: 0, username: 'app', password: 'secret', tls: { servername: 'cache' } }, 'rediss://cache:6380/0'],
    'redis+socket:///run/redis/a%20b.sock': [{ path: '/run/redis/a b.sock', db: 0 }, 'unix socket /run/redis/a b.sock'],
    'rediss://10.0.0.7': [{ host: '10.0.0.7', port: 6379, db: 0, tls: {} }, 'rediss://10.0.0.7:6379/0'],
    'redis+socket:///run/redis.sock?db=2': [{ path: '/run/redis.sock', db: 2 }, 'unix socket /run/redis.sock']
  }
  for (const [url, [options, display]] of Object.entries(urls)) t.same(parseRedisUrl(url), { topology: 'single', options, display }, url)
})
