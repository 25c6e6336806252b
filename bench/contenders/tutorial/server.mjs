// The tutorial: refresh tokens as in hundreds of blog posts, with Express, jsonwebtoken and three Redis commands. It shows
// what atomic rotation costs, and the race without it: between GET and DEL, other requests can use the same token.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import { Redis } from 'ioredis'
import jwt from 'jsonwebtoken'
import { redisUrl, secret, serve, user } from '../serve.mjs'

const ACCESS_SECRET = secret()
const REFRESH_SECRET = secret()
const DAYS_30 = 30 * 24 * 3600

const redis = new Redis(redisUrl)
const app = express()
app.use(express.json())

app.post('/api/ps/refresh', async (req, res) => {
  let claims
  try {
    claims = jwt.verify(req.body.refreshToken, REFRESH_SECRET, { algorithms: ['HS512'] })
  } catch {
    return res.status(400).json({ code: 400, message: 'Bad Request' })
  }
  const stored = await redis.get(`refresh:${claims.jti}`)
  if (stored === null || JSON.parse(stored).deviceId !== req.body.deviceId) {
    return res.status(400).json({ code: 400, message: 'Bad Request' })
  }
  await redis.del(`refresh:${claims.jti}`)
  const { deviceId, ...profile } = JSON.parse(stored)
  const token = jwt.sign({ id: profile.id }, ACCESS_SECRET, { algorithm: 'HS512', expiresIn: '15m' })
  res.json({ ...profile, token, refreshToken: await issue(profile, deviceId) })
})

async function issue (profile, deviceId) {
  const jti = randomUUID()
  await redis.set(`refresh:${jti}`, JSON.stringify({ ...profile, deviceId }), 'EX', DAYS_30)
  return jwt.sign({ id: profile.id, jti }, REFRESH_SECRET, { algorithm: 'HS512', expiresIn: '30d' })
}

await serve(createServer(app), async i => await issue(user(i), process.env.DEVICE_ID))
