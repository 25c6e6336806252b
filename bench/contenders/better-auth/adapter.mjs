// better-auth keeps the rows of its OAuth provider in a database and has no Redis adapter for it (its secondary storage
// holds only sessions and rate limits). This adapter follows better-auth's documented interface: a row is JSON, with a set
// for every indexed value, and "only while it has not been revoked" is an atomic compare-and-set.
import { createAdapterFactory } from 'better-auth/adapters'
import { Redis } from 'ioredis'
import { redisUrl } from '../serve.mjs'

const redis = new Redis(redisUrl, { keyPrefix: 'ba:' })
redis.defineCommand('replace', {
  numberOfKeys: 1,
  lua: 'if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end redis.call("SET", KEYS[1], ARGV[2]) return 1'
})

/** Indexed fields by table. The other tables are small, so all of their rows are read. */
const indexes = {
  user: ['email'],
  oauthClient: ['clientId'],
  oauthRefreshToken: ['token', 'userId'],
  oauthAccessToken: ['token', 'refreshId']
}

const rowKey = (model, id) => `${model}:${id}`
const setsOf = (model, row) => indexes[model]
  ? indexes[model].filter(field => row[field] != null).map(field => `${model}:${field}=${row[field]}`)
  : [`${model}:all`]

/** Returns the JSON of all rows that may match a query. */
async function candidates (model, where) {
  const asked = where.find(({ field }) => field === 'id' || indexes[model]?.includes(field))
  const values = asked === undefined ? [] : [asked.value].flat()
  const ids = asked?.field === 'id'
    ? values
    : await redis.sunion(asked === undefined ? [`${model}:all`] : values.map(value => `${model}:${asked.field}=${value}`))
  return ids.length === 0 ? [] : (await redis.mget(ids.map(id => rowKey(model, id)))).filter(json => json !== null)
}

function matches (row, where) {
  return where.every(({ field, value, operator = 'eq' }) => {
    if (operator === 'in') return value.includes(row[field])
    if (operator !== 'eq') throw new Error(`${operator} is not needed here`)
    return value === null ? row[field] == null : row[field] === value
  })
}

async function find (model, where) {
  return (await candidates(model, where)).map(json => ({ json, row: JSON.parse(json) })).filter(({ row }) => matches(row, where))
}

/** Changes matching rows, each only if it has not changed since it was read. */
async function change (model, where, to, most = Infinity) {
  const changed = []
  for (const { json, row } of (await find(model, where)).slice(0, most)) {
    const next = { ...row, ...to }
    if (await redis.replace(rowKey(model, row.id), json, JSON.stringify(next)) === 1) changed.push(next)
  }
  return changed
}

async function remove (model, where) {
  const found = await find(model, where)
  const multi = redis.multi()
  for (const { row } of found) {
    multi.del(rowKey(model, row.id))
    for (const set of setsOf(model, row)) multi.srem(set, row.id)
  }
  await multi.exec()
  return found.length
}

export const redisAdapter = createAdapterFactory({
  config: { adapterId: 'redis', supportsDates: false, supportsJSON: true, supportsArrays: true, supportsBooleans: true, supportsNumericIds: false },
  adapter: () => ({
    create: async ({ model, data }) => {
      const multi = redis.multi().set(rowKey(model, data.id), JSON.stringify(data))
      for (const set of setsOf(model, data)) multi.sadd(set, data.id)
      await multi.exec()
      return data
    },
    findOne: async ({ model, where }) => (await find(model, where))[0]?.row ?? null,
    findMany: async ({ model, where = [] }) => (await find(model, where)).map(({ row }) => row),
    count: async ({ model, where = [] }) => (await find(model, where)).length,
    update: async ({ model, where, update }) => (await change(model, where, update, 1))[0] ?? null,
    updateMany: async ({ model, where, update }) => (await change(model, where, update)).length,
    incrementOne: async ({ model, where, set }) => (await change(model, where, set, 1))[0] ?? null,
    delete: async ({ model, where }) => { await remove(model, where) },
    deleteMany: async ({ model, where }) => await remove(model, where)
  })
})
