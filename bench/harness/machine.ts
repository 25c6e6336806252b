import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, release, totalmem, type } from 'node:os'
import { canPin } from './processes.ts'

/** The machine and the versions a figure was measured with. */
export interface Machine {
  cpu: string
  cores: number
  memoryGiB: number
  system: string
  pinned: boolean
  node: string
  redis: string
  packages: Record<string, string>
}

/** `redis` is the version that the server reports. */
export function describeMachine (redis: string): Machine {
  const [first] = cpus()
  return {
    cpu: first?.model.trim() || 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    pinned: canPin,
    node: process.versions.node,
    redis,
    packages: {
      ...versions(['fastify', '@fastify/jwt', 'ioredis'], '../../package.json'),
      ...versions(['oidc-provider', 'better-auth', 'express', 'jsonwebtoken'], '../package.json')
    }
  }
}

/** Versions of the packages installed beside the given package.json. */
function versions (names: string[], from: string): Record<string, string> {
  const found: Record<string, string> = {}
  const { resolve } = createRequire(new URL(from, import.meta.url))
  for (const name of names) {
    // Reads the file directly, because not every package exports its package.json.
    for (const folder of resolve.paths(name) ?? []) {
      try {
        found[name] ??= JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')).version
      } catch {
        // not in this folder
      }
    }
  }
  return found
}
