import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import type { Test } from 'tap'
import { tempFolder } from './helper.ts'
import { freePort } from './ports.ts'

/** deploy/haproxy.cfg in a real HAProxy. */

export interface Balancer {
  publicUrl: string
  internalUrl: string
  folder: string
  /** Lines of the log so far. */
  lines: string[]
  /** Resolves with a line that contains the text, already logged or to come. */
  line (text: string): Promise<string>
  /** A value of `show stat` for one server: `status`, `hrsp_2xx`, `wretr` … */
  figure (server: string, name: string): Promise<string>
  /** Polls a value until `isSo` returns true. */
  until (server: string, name: string, isSo: (value: string) => boolean): Promise<void>
}

/** host:port of the two listeners of one replica. */
export interface ReplicaAddress {
  public: string
  internal: string
}

/** The environment variables that the file reads. */
export function haproxyEnvironment (replicas: ReplicaAddress[]): Record<string, string> {
  return Object.fromEntries(replicas.flatMap((replica, i) => [
    [`REPLICA_${i + 1}`, replica.public],
    [`REPLICA_${i + 1}_INTERNAL`, replica.internal]
  ]))
}

/** Starts HAProxy in front of three replicas and ends it with the test. HAPROXY_CFG names another file to test. */
export async function startHaproxy (t: Test, replicas: ReplicaAddress[]): Promise<Balancer> {
  const folder = await tempFolder(t)
  const socket = join(folder, 'admin.sock')
  const [PUBLIC_BIND, INTERNAL_BIND] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
  const child = spawn('haproxy', ['-db', '-f', process.env.HAPROXY_CFG ?? 'deploy/haproxy.cfg'], {
    env: {
      PATH: process.env.PATH,
      ...haproxyEnvironment(replicas),
      PUBLIC_BIND,
      INTERNAL_BIND,
      METRICS_BIND: `unix@${folder}/metrics.sock`,
      STATS_SOCKET: socket
    },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const exited = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', line => lines.push(line))
  const failed = exited.then(() => { throw new Error(`haproxy ended:\n${lines.join('\n')}`) })
  failed.catch(() => {})

  const ask = async (command: string): Promise<string> => {
    const connection = connect(socket)
    connection.end(`${command}\n`)
    return await text(connection)
  }
  // HAProxy accepts commands once all listeners are open.
  while (!await Promise.race([ask('show info').then(() => true, () => false), failed])) await delay(10)

  const figure: Balancer['figure'] = async (server, name) => {
    const [header = '', ...rows] = (await ask('show stat')).replace(/^# /, '').split('\n')
    const row = rows.find(row => row.startsWith(`${server.replace('/', ',')},`))!
    return row.split(',')[header.split(',').indexOf(name)]!
  }
  return {
    publicUrl: `http://${PUBLIC_BIND}`,
    internalUrl: `http://${INTERNAL_BIND}`,
    folder,
    lines,
    line: async text => {
      for (;;) {
        const found = lines.find(line => line.includes(text))
        if (found !== undefined) return found
        await Promise.race([delay(20), failed])
      }
    },
    figure,
    until: async (server, name, isSo) => {
      while (!isSo(await Promise.race([figure(server, name), failed]))) await delay(20)
    }
  }
}
