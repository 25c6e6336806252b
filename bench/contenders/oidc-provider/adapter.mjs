// A Redis adapter for node-oidc-provider with the data layout of its documented adapter: a consumable model is a hash of
// payload and time, every other model is JSON. A list for each grant names the keys issued under it, for revocation.
import { Redis } from 'ioredis'
import { redisUrl } from '../serve.mjs'

const redis = new Redis(redisUrl, { keyPrefix: 'oidc:' })

const consumable = new Set(['AuthorizationCode', 'RefreshToken', 'DeviceCode', 'BackchannelAuthenticationRequest'])
const granted = new Set([...consumable, 'AccessToken'])

const grantKey = id => `grant:${id}`

export class RedisAdapter {
  constructor (model) {
    this.model = model
    this.isConsumable = consumable.has(model)
    this.isGranted = granted.has(model)
  }

  key (id) {
    return `${this.model}:${id}`
  }

  async upsert (id, payload, expiresIn) {
    const key = this.key(id)
    const json = JSON.stringify(payload)
    const multi = redis.multi()
    if (this.isConsumable) multi.hset(key, { payload: json })
    else multi.set(key, json)
    if (expiresIn) multi.expire(key, expiresIn)
    if (this.isGranted && payload.grantId) {
      const list = grantKey(payload.grantId)
      multi.rpush(list, key)
      if (expiresIn > await redis.ttl(list)) multi.expire(list, expiresIn)
    }
    for (const kind of ['userCode', 'uid']) {
      if (payload[kind]) multi.set(`${kind}:${payload[kind]}`, id, 'EX', expiresIn)
    }
    await multi.exec()
  }

  async find (id) {
    if (!this.isConsumable) {
      const json = await redis.get(this.key(id))
      return json === null ? undefined : JSON.parse(json)
    }
    const { payload, ...rest } = await redis.hgetall(this.key(id))
    return payload === undefined ? undefined : { ...rest, ...JSON.parse(payload) }
  }

  async findByUid (uid) {
    return await this.find(await redis.get(`uid:${uid}`))
  }

  async findByUserCode (code) {
    return await this.find(await redis.get(`userCode:${code}`))
  }

  async consume (id) {
    await redis.hset(this.key(id), 'consumed', Math.floor(Date.now() / 1000))
  }

  async destroy (id) {
    await redis.del(this.key(id))
  }

  async revokeByGrantId (grantId) {
    const list = grantKey(grantId)
    await redis.del(list, ...await redis.lrange(list, 0, -1))
  }
}
