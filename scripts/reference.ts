import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { FastifyError } from '@fastify/error'
import { Environment } from '#src/config/schema'
import * as errors from '#src/errors'
import { definitions } from '#src/metrics/definitions'
import { apiPage, type Api } from './reference/api.ts'
import { code, page, table } from './reference/markdown.ts'

// `npm run reference`: writes the pages of docs/reference from the code, so that GitHub shows them too. A test compares them.

const FOLDER = 'docs/reference'

/** The generated pages, by file name. */
export async function referencePages (): Promise<Record<string, string>> {
  return {
    'settings.md': settings(),
    'metrics.md': metrics(),
    'errors.md': errorCodes(),
    'api.md': apiPage(JSON.parse(await readFile('docs/openapi.json', 'utf8')) as Api)
  }
}

function settings (): string {
  const properties: Record<string, { default?: unknown, description?: string, writeOnly?: boolean }> = Environment.properties
  const rows = Object.entries(properties).map(([name, { default: value, description, writeOnly }]) =>
    [code(name), value === undefined ? 'none' : code(String(value)), `${description}${writeOnly ? `. A secret: \`${name}_FILE\` may name a file with it` : ''}`])
  return page('Settings', 'src/config/schema.ts',
    'Every environment variable, its default, and the values that the service accepts. [Configuration](../configuration.md) explains them.',
    table(['name', 'default', 'must be'], rows))
}

function metrics (): string {
  const all: Array<{ name: string, help: string, labelNames?: readonly string[], values?: readonly string[] }> = Object.values(definitions)
  const rows = all.map(({ name, help, labelNames = [], values = [] }) =>
    [code(name), labelNames.map(code).join(', ') || 'none', values.map(code).join(', '), help])
  return page('Metrics', 'src/metrics/definitions.ts',
    'The metrics of the service itself. [Metrics](../metrics.md) explains them, and lists the metrics of Node and of the process.',
    table(['metric', 'labels', 'values of a single label', ''], rows))
}

function errorCodes (): string {
  const made = Object.values(errors).filter(value => typeof value === 'function' && value.prototype instanceof FastifyError)
  const rows = made.map(Made => new (Made as unknown as new () => FastifyError)())
    .map(({ code: name, statusCode, message }) => [code(name), String(statusCode), message])
  return page('Errors', 'src/errors.ts',
    'The codes of the service\'s own errors in log lines, with the status of the answer. `%s` and `%d` stand for values. The answer has only ' +
    'the body of its status, such as `{"code":404,"message":"Not Found"}`; on the internal API, a detail may follow the message.',
    table(['code', 'status', 'message in the log'], rows))
}

if (import.meta.url === pathToFileURL(process.argv[1]!).href) {
  await mkdir(FOLDER, { recursive: true })
  for (const [name, text] of Object.entries(await referencePages())) await writeFile(join(FOLDER, name), text)
}
