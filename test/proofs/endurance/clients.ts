import { Agent, request } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { claimsOf, postSession, type ServiceProcess, type TokensBody } from '../../support/helper.ts'
import { pick, type Random } from '../../support/random.ts'

/** Clients that refresh their sessions without a pause, and handle failures as the documentation tells them to. */

/** Client time-out, ms: longer than the second in which the service promises an answer. */
const ANSWER_TIMEOUT = 1500

/**
 * Milliseconds in which a request without an answer may still take effect after its replica died. Real clients pause for
 * minutes before they use the token's successor; these clients pause only for this time.
 */
const AFTERMATH = 1000

export interface Client {
  userId: number
  deviceId: string
  /** The client's current token; `gen` is its generation. */
  token: string
  gen: number
  /** The previous token. */
  ancestor?: string
}

export interface Totals {
  requests: number
  /** Number of answers by status; `none` counts requests without an answer. */
  answers: Record<string, number>
  /** Number of successful rotations. */
  refreshes: number
  /** Descriptions of lost sessions (`lost`) and of tokens with two successors (`doubleSpent`). */
  lost: string[]
  doubleSpent: string[]
}

export async function openClients (service: ServiceProcess, count: number): Promise<Client[]> {
  const clients: Client[] = []
  for (let userId = 1; userId <= count; userId++) {
    const deviceId = `device of ${userId}`
    const { refreshToken } = await postSession(service.internalUrl, { userId, deviceId })
    clients.push({ userId, deviceId, token: refreshToken, gen: 1 })
  }
  return clients
}

/** A replica's answer to a token: its successor, or the status of an error; `undefined` without an answer. */
type Reply = string | number | undefined

export interface Asker {
  /** Refreshes until the client has its next token, or reports its session as lost. */
  refresh (client: Client): Promise<void>
  close (): void
}

/** Milliseconds for which a replica that did not answer gets no requests, as behind a load balancer. */
const SHUNNED = 1000

/** `replicas` returns the current replicas; it is called for each request. */
export function createAsker (replicas: () => ServiceProcess[], random: Random, totals: Totals): Asker {
  const agent = new Agent({ keepAlive: true })

  const shunnedUntil = new Map<ServiceProcess, number>()

  const choose = (services: ServiceProcess[]): ServiceProcess => {
    const good = services.filter(service => performance.now() > (shunnedUntil.get(service) ?? 0))
    return pick(random, good.length > 0 ? good : services)
  }

  const ask = async (service: ServiceProcess, { deviceId }: Client, refreshToken: string): Promise<Reply> => {
    totals.requests++
    const reply = await post(agent, `${service.publicUrl}/api/ps/refresh`, JSON.stringify({ deviceId, refreshToken }))
    if (reply === undefined) shunnedUntil.set(service, performance.now() + SHUNNED)
    const status = typeof reply === 'string' ? 200 : reply ?? 'none'
    totals.answers[status] = (totals.answers[status] ?? 0) + 1
    return reply
  }

  /** Sends one request in ten to two replicas at once, like two browser tabs. */
  const askOneOrTwo = async (client: Client, token: string): Promise<Reply[]> => {
    const services = replicas()
    const first = choose(services)
    const copies = random() < 0.1 ? [first, choose(services.filter(service => service !== first))] : [first]
    return await Promise.all(copies.map(async service => await ask(service, client, token)))
  }

  return {
    async refresh (client) {
      // One refresh in twenty repeats the previous token, like a late browser tab.
      const isLate = client.ancestor !== undefined && random() < 0.05
      const token = isLate ? client.ancestor! : client.token
      let successor = isLate ? client.token : undefined
      for (;;) {
        const replies = await askOneOrTwo(client, token)
        if (replies.includes(undefined)) await delay(AFTERMATH)
        for (const reply of replies) {
          if (reply === 400) totals.lost.push(`user ${client.userId} at generation ${client.gen}${isLate ? ', by a tab that was late' : ''}`)
          if (typeof reply !== 'string') continue
          if (reply !== (successor ?? reply)) totals.doubleSpent.push(`user ${client.userId}, after generation ${client.gen}`)
          successor = reply
        }
        if (replies.includes(400)) return
        if (replies.some(reply => typeof reply === 'string')) break
      }
      if (isLate) return
      const { gen } = claimsOf(successor!)
      if (gen !== client.gen + 1) totals.doubleSpent.push(`user ${client.userId}: generation ${gen} after ${client.gen}`)
      Object.assign(client, { ancestor: client.token, token: successor, gen })
      totals.refreshes++
    },
    close () { agent.destroy() }
  }
}

async function post (agent: Agent, url: string, body: string): Promise<Reply> {
  return await new Promise(resolve => {
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    const sent = request(url, { agent, method: 'POST', headers, signal: AbortSignal.timeout(ANSWER_TIMEOUT) })
    sent.on('error', () => resolve(undefined))
    sent.on('response', response => {
      let text = ''
      response.setEncoding('utf8').on('data', part => { text += part })
      response.on('close', () => {
        if (!response.complete) resolve(undefined)
        else resolve(response.statusCode === 200 ? (JSON.parse(text) as TokensBody).refreshToken : response.statusCode)
      })
    })
    sent.end(body)
  })
}
