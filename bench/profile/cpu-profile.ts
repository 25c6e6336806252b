/** The parts of a `node --cpu-prof` file used here. Times are in microseconds of the monotonic clock. */
export interface CpuProfile {
  nodes: ProfileNode[]
  startTime: number
  /** The node that ran at each sample, and the time since the previous sample. */
  samples: number[]
  timeDeltas: number[]
}

export interface ProfileNode {
  id: number
  callFrame: { functionName: string, url: string }
  children?: number[]
}

/** Returns the class of a frame; `undefined` when the frame counts for its caller. */
export type Classify = (frame: ProfileNode['callFrame']) => string | undefined

/** Returns microseconds between two times, by the class of the innermost frame that has a class. */
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

/** Relies on parents coming before their children in `nodes`. */
function classifyNodes (nodes: ProfileNode[], classify: Classify): Map<number, string> {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)))
  const classes = new Map<number, string>()
  for (const { id, callFrame } of nodes) classes.set(id, classify(callFrame) ?? classes.get(parents.get(id)!) ?? 'other')
  return classes
}
