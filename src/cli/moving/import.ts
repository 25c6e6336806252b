import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { count, createProgress, grouped } from '#src/cli/output'
import { withRedis } from '#src/cli/redis'
import { UsageError, type Run } from '#src/cli/verb'
import { loadStoreConfig } from '#src/config/environment'
import { sessionOptions } from '#src/config/options'
import { createImporter } from '#src/sessions/imports'
import { createBatch, type Totals } from './batch.ts'
import { readLines, type Line } from './lines.ts'
import { openRejections } from './rejections.ts'

/** Lines that are sent together. The next ones are read when Redis has these. */
const BATCH = 500

/** Imports the sessions in a file of NDJSON. May be repeated: a line that was imported is left alone. */
export const importSessions: Run = async ({ args: [path = '-'], flags: { dryRun, rejected }, holdInterruption, terminal, input }) => {
  const config = loadStoreConfig(process.env, 'REFRESH_IDLE_TTL', 'REFRESH_ABSOLUTE_TTL', 'MAX_SESSIONS_PER_USER')
  const rejectedPath = rejected ?? `${path === '-' ? 'import' : path}.rejected.ndjson`
  if (path !== '-' && resolve(rejectedPath) === resolve(path)) throw new UsageError('The file of --rejected must be another file than the input.')
  const file = path === '-' ? undefined : await open(path)
  const size = (await file?.stat())?.size
  const source: AsyncIterable<Buffer> = file?.createReadStream() ?? input

  const totals: Totals = { lines: 0, imported: 0, alreadyImported: 0, expired: 0 }
  const progress = createProgress(terminal)
  const startedAt = performance.now()
  try {
    return await withRedis(config, async redis => {
      const signal = holdInterruption()
      const rejections = await openRejections(rejectedPath)
      const importer = createImporter(redis, sessionOptions(config), { replicas: config.REDIS_WAIT_REPLICAS })
      const run = createBatch(config, importer, totals, dryRun)
      try {
        let lines: Line[] = []
        for await (const line of readLines(source)) {
          if (signal.aborted) break
          lines.push(line)
          if (lines.length < BATCH) continue
          await rejections.write(await run(lines))
          lines = []
          const share = size && line.bytes / size
          progress.show(share, pace(totals.lines, (performance.now() - startedAt) / 1000, share))
        }
        if (!signal.aborted) await rejections.write(await run(lines))
      } finally {
        await rejections.close()
      }
      const document: Document = {
        complete: !signal.aborted,
        dryRun,
        ...totals,
        rejected: rejections.count,
        rejectedFile: rejections.count > 0 ? rejectedPath : null
      }
      return { document, text: () => text(document), failed: rejections.count > 0 }
    })
  } finally {
    progress.end()
    await file?.close()
  }
}

/** "12,000 lines  8,000/s  0:12 left" */
function pace (lines: number, seconds: number, share?: number): string {
  const left = share ? Math.ceil(seconds / share - seconds) : undefined
  const remaining = left === undefined ? '' : `  ${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')} left`
  return `${grouped(lines)} lines  ${grouped(Math.round(lines / seconds))}/s${remaining}`
}

/** The JSON document of `import`: public, see docs/cli.md. */
interface Document extends Totals {
  complete: boolean
  dryRun: boolean
  rejected: number
  rejectedFile: string | null
}

function text ({ complete, dryRun, lines, imported, alreadyImported, expired, rejected, rejectedFile }: Document): string {
  return [
    ...(complete ? [] : ['Interrupted: import the file again, and it continues.']),
    `${count(lines, 'line')}: ${dryRun ? 'would import' : 'imported'} ${count(imported, 'session')}, ` +
      `${grouped(alreadyImported)} imported before, ${grouped(expired)} expired, ${grouped(rejected)} rejected`,
    ...(rejectedFile === null ? [] : [`Reasons: ${rejectedFile}`])
  ].join('\n') + '\n'
}
