import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { shellWord } from '#src/config/data-dir'

/** Number of the server's last lines to show. */
const LINES = 3

/** Length of the server's log in bytes; 0 when there is no log. */
export async function logLength (folder: string): Promise<number> {
  return (await readLog(folder)).length
}

async function readLog (folder: string): Promise<Buffer> {
  return await readFile(join(folder, 'redis.log')).catch(() => Buffer.alloc(0))
}

/**
 * Says why a server did not start, from its standard error and from its log in `folder` after byte `start`. For a damaged
 * append-only file, it also names two ways out and the data that each loses.
 */
export async function startFailure (binary: string, folder: string, start: number, errors: string): Promise<string> {
  const log = (await readLog(folder)).subarray(start).toString()
  const said = [...tail(errors.split('\n')), ...tail(complaints(log))].join('; ').replace(/\.$/, '')
  const words = said === '' ? 'It said nothing.' : `It said: ${said}.`
  if (!/append only file|AOF/i.test(said)) {
    return `The embedded Redis did not start. ${words}${log === '' ? '' : ` Its log is ${join(folder, 'redis.log')}.`}`
  }
  const files = join(folder, 'appendonlydir')
  const move = `begin anew with \`mv ${shellWord(files)} ${shellWord(`${files}.damaged`)}\`: every session is lost, and everybody logs in again`
  // The repair tool can't repair a damaged manifest.
  if (!/use .*redis-check-aof|use .*valkey-check-aof/.test(said)) {
    return `The embedded Redis did not start, because the list of its append-only files is damaged. The way out: ${move}. ${words}`
  }
  const repair = `\`${shellWord(binary.replace(/server$/, 'check-aof'))} --fix ${shellWord(join(files, 'appendonly.aof.manifest'))}\``
  return 'The embedded Redis did not start, because its append-only file is damaged. Two ways out: ' +
    `repair it with ${repair}: log-ins, log-outs and refreshes that were written after the damage are lost; or ${move}. ${words}`
}

/** The log's messages of the highest level, without the advice that Redis logs at every start. */
function complaints (log: string): string[] {
  return log.split('\n').filter(line => / # /.test(line) && !/WARNING|oO0OoO0|version=|Configuration loaded|Server initialized/.test(line)).map(line => line.replace(/^.*? # /, ''))
}

function tail (lines: string[]): string[] {
  return lines.map(line => line.trim()).filter(line => line !== '').slice(-LINES)
}
