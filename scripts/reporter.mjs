// The reporter for tap, set in .taprc. On a terminal it is tap's own, which shows the running files. Elsewhere it prints a line for
// each file, the failed tests of a failing file, a line after a long silence, and at the end tap's totals and a sentence.
import { Transform } from 'node:stream'
import { tap } from '@tapjs/core'
import { Base } from '@tapjs/reporter'

/** Milliseconds of silence before a line lists the running files. */
const SILENCE = 30_000

class Lines extends Transform {
  #rest = ''
  /** Output of the file whose result has not come yet, without its passed tests. */
  #output = []
  /** Where the output of its running test begins. */
  #test = Infinity
  #totals = {}
  #started = Date.now()
  #silence = setInterval(() => this.#tellWhatRuns(), SILENCE).unref()

  constructor () {
    super({ decodeStrings: false })
  }

  _transform (chunk, _encoding, done) {
    const lines = (this.#rest + chunk).split('\n')
    this.#rest = lines.pop()
    for (const line of lines) this.#read(line)
    done()
  }

  _flush (done) {
    clearInterval(this.#silence)
    this.#read(this.#rest)
    const { pass = 0, fail = 0, skip = 0, todo = 0 } = this.#totals
    this.#print(`${pass} passed, ${fail} failed${skip + todo > 0 ? `, ${skip + todo} skipped` : ''}`)
    done()
  }

  #read (line) {
    const [, failed, file] = /^(not )?ok \d+ - (.*)$/.exec(line) ?? []
    if (file !== undefined) {
      if (failed) this.push(`${this.#output.join('\n')}\n`)
      this.#output = []
      this.#test = Infinity
      this.#print(`${failed ? 'FAIL' : 'ok'}  ${file}`)
    } else if (line.startsWith('# {')) {
      this.#totals = Object.fromEntries([...line.matchAll(/(\w+): (\d+)/g)].map(([, name, count]) => [name, Number(count)]))
      this.#print(line)
    } else if (/^(# (?!Subtest)|Bail out!)/.test(line)) this.#print(line)
    else this.#keep(line)
  }

  #keep (line) {
    this.#output.push(line)
    const [, result] = /^ {4}(#|ok|not ok) /.exec(line) ?? []
    if (result === undefined) return
    if (result.startsWith('ok')) this.#output.length = Math.min(this.#test, this.#output.length)
    this.#test = result.startsWith('#') ? this.#output.length - 1 : Infinity
  }

  #print (line) {
    this.#silence.refresh()
    this.push(`${line}\n`)
  }

  #tellWhatRuns () {
    const names = [...tap().activeSubtests].map(({ name }) => name)
    this.#print(`…   ${Math.round((Date.now() - this.#started) / 1000)} s: ${names.join(', ')}`)
  }
}

export default process.stdout.isTTY ? Base : Lines
