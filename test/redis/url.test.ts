import t from 'tap'
import { parseRedisUrl } from '#src/settings/redis-url'

t.test('parses the URL of a single server', async t => {
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

t.test('parses several hosts of a Sentinel group or a Cluster', async t => {
  const user = { username: 'app', password: 'p@,/:' }
  t.same(parseRedisUrl('redis+sentinel://app:p%40%2C%2F%3A@a,b:26380,[::1]:7000/my-master.1/2'), {
    topology: 'sentinel',
    display: 'redis+sentinel://a:26379,b:26380,[::1]:7000/my-master.1/2',
    options: { ...user, db: 2 },
    sentinels: [{ host: 'a', port: 26379 }, { host: 'b', port: 26380 }, { host: '::1', port: 7000 }],
    master: 'my-master.1'
  })
  t.match(parseRedisUrl('rediss+sentinel://a/m'), { display: 'rediss+sentinel://a:26379/m/0', options: { tls: {}, db: 0 }, sentinels: [{ host: 'a' }] })
  t.same(parseRedisUrl('redis+cluster://app:p%40%2C%2F%3A@10.0.0.1,b:7000,[fd00::1]'), {
    topology: 'cluster',
    display: 'redis+cluster://10.0.0.1:6379,b:7000,[fd00::1]:6379',
    options: user,
    nodes: [{ host: '10.0.0.1', port: 6379 }, { host: 'b', port: 7000 }, { host: 'fd00::1', port: 6379 }]
  })
  t.same(parseRedisUrl('rediss+cluster://:only@a/'), {
    topology: 'cluster', display: 'rediss+cluster://a:6379', options: { password: 'only', tls: {} }, nodes: [{ host: 'a', port: 6379 }]
  })
})

t.test('rejects an invalid REDIS_URL', async t => {
  const wrong = [
    'redis+sentinel://a', 'redis+sentinel://a/', 'redis+sentinel:///m', 'redis+sentinel://a,/m', 'redis+sentinel://a, b/m', 'redis+sentinel://a:x/m',
    'redis+sentinel://a/m/x', 'redis+sentinel://a/m/0/1', 'redis+sentinel://a/m?db=1', 'redis+sentinel://a/a%20b', 'redis+sentinel://%zz@a/m',
    'redis+cluster://', 'redis+cluster://a/0', 'redis+cluster://a:70000', 'redis+cluster://a,,b', 'redis+cluster://a b', 'rediss+socket:///p', 'redis+other://a'
  ]
  for (const url of wrong) t.equal(parseRedisUrl(url), undefined, url)
})
