/** What `node --cpu-prof` writes, as far as it is read here. Times in microseconds of the monotonic clock. */
export interface CpuProfile {
  nodes: ProfileNode[]
  startTime: number
  /** The node that ran at each sample, and the time since the one before. */
  samples: number[]
  timeDeltas: number[]
}

export interface ProfileNode {
  id: number
  callFrame: { functionName: string, url: string }
  children?: number[]
}

/** Where the process was: `undefined` for one that leaves it to its caller. */
export type Classify = (frame: ProfileNode['callFrame']) => string | undefined

/** Microseconds between two moments, by the class of the innermost frame that has one. */
export function timeByClass (profile: CpuProfile, classify: Classify, from: number, to: number): Map<string, number> {
  const { nodes, startTime, samples, timeDeltas } = profile
  const classes = classifyNodes(nodes, classify)
  const times = new Map<string, number>()
  let now = startTime
  samples.forEach((node, i) => {
    now += timeDeltas[i]!
    if (now < from || now > to) return
    const name = classes.get(node)!
    times.set(name, (times.get(name) ?? 0) + timeDeltas[i]!)
  })
  return times
}

/** Parents stand before their children. */
function classifyNodes (nodes: ProfileNode[], classify: Classify): Map<number, string> {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)))
  const classes = new Map<number, string>()
  for (const { id, callFrame } of nodes) classes.set(id, classify(callFrame) ?? classes.get(parents.get(id)!) ?? 'other')
  return classes
}
