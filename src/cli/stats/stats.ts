import { createProgress, grouped } from '#src/cli/output'
import { withRedis } from '#src/cli/redis'
import { mastersOf } from '#src/redis/topology'
import type { Run } from '#src/cli/verb'
import { loadStoreConfig } from '#src/config/environment'
import { StoreUnavailable } from '#src/errors'
import { BATCH, scanRecords } from './scan.ts'
import { addRecords, createTotals, statsText, toStats } from './totals.ts'

/** Counts the stored users and sessions, one server after another. */
export const stats: Run = async ({ holdInterruption, terminal }) => {
  const config = loadStoreConfig()
  const totals = createTotals()
  const progress = createProgress(terminal)
  try {
    return await withRedis(config, async redis => {
      const signal = holdInterruption()
      const { reached: masters, away } = mastersOf(redis)
      if (away.length > 0) throw new StoreUnavailable(`${away.join(', ')} can't be reached, so the sums would be wrong`)
      // Includes keys of other programs: SCAN walks the whole database.
      const total = (await Promise.all(masters.map(async master => await master.dbsize()))).reduce((sum, size) => sum + size)
      let seen = 0
      for (const master of masters) {
        for await (const records of scanRecords(master, config.REDIS_PREFIX, signal)) {
          addRecords(totals, records)
          seen += BATCH
          progress.show(Math.min(1, seen / total), `${grouped(totals.users)} users`)
        }
      }
      const document = toStats(totals, !signal.aborted)
      return { document, text: () => statsText(document) }
    })
  } finally {
    progress.end()
  }
}
