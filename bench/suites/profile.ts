import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startOurs, type Service } from '../harness/contenders.ts'
import { withEnvironment, type BenchEnvironment } from '../harness/environment.ts'
import { temporaryFolder } from '../harness/processes.ts'
import { cpuOf } from '../harness/usage.ts'
import { classify } from '../profile/classes.ts'
import { timeByClass, type CpuProfile } from '../profile/cpu-profile.ts'
import type { Report, Settings } from '../settings.ts'

/** CPU microseconds of a refresh, by class of code, the largest first. */
export interface ProfileResult {
  /** Total, measured without the profiler. */
  cpu: number
  /** The total, split by the profiler's shares. */
  parts: Array<{ name: string, cpu: number }>
}

/** Microseconds between two samples. */
const INTERVAL = 200

export async function profile (settings: Settings, report: Report) {
  const folder = temporaryFolder()
  return await withEnvironment(settings, ['ours'], async ({ load, machine, contenders: [ours] }) => {
    const { cpu } = await run(load, ours!, settings)
    const flags = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${INTERVAL}`]
    const profiled = await startOurs(ours!.redis.url, { flags })
    const { from, to } = await run(load, profiled, settings)
    await profiled.stop('SIGTERM')
    const times = timeByClass(readProfile(folder), classify, from, to)
    times.delete('idle')
    const sum = [...times.values()].reduce((sum, time) => sum + time, 0)
    const parts = [...times].map(([name, time]) => ({ name, cpu: cpu * time / sum })).sort((a, b) => b.cpu - a.cpu)
    for (const { name, cpu } of parts) report(`${cpu.toFixed(1).padStart(6)} µs  ${name}`)
    report(`${cpu.toFixed(1).padStart(6)} µs  in all`)
    return { machine, results: { cpu, parts } satisfies ProfileResult }
  })
}

/** Measures CPU microseconds of a refresh; returns them with the start and end on the monotonic clock. */
async function run (load: BenchEnvironment['load'], service: Service, settings: Settings): Promise<{ cpu: number, from: number, to: number }> {
  const { connections, warmup, seconds, rounds } = settings
  await load.sessions(service, await service.open(1, settings.sessions))
  await load.closed('ours', { connections, warmup, seconds })
  const [from, before] = [monotonic(), cpuOf(service.pid)]
  const { total } = await load.closed('ours', { connections, warmup: 0, seconds: seconds * rounds })
  return { cpu: (cpuOf(service.pid) - before) / total, from, to: monotonic() }
}

/** Microseconds, the unit of V8's profiles. */
const monotonic = (): number => Number(process.hrtime.bigint() / 1000n)

function readProfile (folder: string): CpuProfile {
  const [file] = readdirSync(folder)
  return JSON.parse(readFileSync(join(folder, file!), 'utf8'))
}
