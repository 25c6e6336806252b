// better-auth keeps the rows of its OAuth provider in a database, for which it has no Redis adapter (its secondary storage
// takes sessions and rate limits alone). This one is written to its documented interface: a row is JSON, with a set for
// every value that rows are looked up by, and "only while it has not been revoked" is compared and set at once.
import { createAdapterFactory } from 'better-auth/adapters'
import { Redis } from 'ioredis'
import { redisUrl } from '../serve.mjs'

const redis = new Redis(redisUrl, { keyPrefix: 'ba:' })
redis.defineCommand('replace', {
  numberOfKeys: 1,
  lua: 'if redis.call("GET", KEYS[1]) ~= ARGV[1] then return 0 end redis.call("SET", KEYS[1], ARGV[2]) return 1'
})

/** What rows are looked up by; of the other tables, which are small, all rows are read. */
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

/** The JSON of the rows that a query may be about. */
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

/** Changes rows that match, each only if nobody else did since it was read. */
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
