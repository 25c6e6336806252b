/** Readiness of the process, shared by both listeners. */
export interface Health {
  /** Set once the process is asked to end: it still answers requests, but new clients should go elsewhere. */
  draining: boolean
  /** Readiness checks; each rejects while the process should not get traffic, such as when Redis would not run a refresh. */
  probes: Array<() => Promise<void>>
}

export function createHealth (): Health {
  return { draining: false, probes: [] }
}

/** Whether a load balancer should send requests here. */
export async function isReady (health: Health): Promise<boolean> {
  if (health.draining) return false
  return await Promise.all(health.probes.map(async probe => await probe())).then(() => true, () => false)
}
