/** What both listeners of a process share: whether it should get traffic. */
export interface Health {
  /** Set once the process was asked to end: it serves on, but wants no new clients. */
  draining: boolean
  /** One a surface: resolves when that surface's Redis connection would run a refresh now. */
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
