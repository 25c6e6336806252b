import { execFileSync } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import ts from 'typescript'
import { parseAllDocuments } from 'yaml'

/** Reads, renders and checks manifests of Kubernetes. */

export interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string, namespace?: string, labels?: Record<string, string> }
  [key: string]: any
}

/** The documents of YAML, version 1.1 as Kubernetes reads it: 0440 is octal. */
export function parseManifests (text: string): Manifest[] {
  return parseAllDocuments(text, { version: '1.1' }).map(document => {
    if (document.errors.length > 0) throw new Error(document.errors[0]!.message)
    return document.toJS() as Manifest
  })
}

/** All manifests below a folder; kustomizations apart. */
export async function readManifests (folder: string): Promise<{ manifests: Manifest[], kustomizations: Record<string, Manifest> }> {
  const manifests: Manifest[] = []
  const kustomizations: Record<string, Manifest> = {}
  for (const path of await readdir(folder, { recursive: true })) {
    if (!path.endsWith('.yaml')) continue
    const documents = parseManifests(await readFile(join(folder, path), 'utf8'))
    if (path.endsWith('kustomization.yaml')) kustomizations[join(folder, path, '..')] = documents[0]!
    else manifests.push(...documents)
  }
  return { manifests, kustomizations }
}

/** The command that renders a kustomization; `undefined` when none is on the PATH. */
export const kustomize = [['kubectl', 'kustomize'], ['kustomize', 'build']].find(([program]) => {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`])
    return true
  } catch {
    return false
  }
})

export function render (folder: string): Manifest[] {
  const [program, verb] = kustomize!
  return parseManifests(execFileSync(program!, [verb!, folder], { encoding: 'utf8' }))
}

/** The module of `kubernetes-models` with the schema and the type of a kind. */
function moduleOf ({ apiVersion, kind }: Manifest): string {
  const isPrometheus = apiVersion.startsWith('monitoring.coreos.com/')
  return `${isPrometheus ? '@kubernetes-models/prometheus-operator' : 'kubernetes-models'}/${apiVersion}/${kind}`
}

/** Checks manifests against the API's schemas, which permit unknown keys, and against the API's types, which don't. */
export async function mistakesOf (manifests: Manifest[]): Promise<string[]> {
  const mistakes: string[] = []
  for (const manifest of manifests) {
    const { [manifest.kind]: Model } = await import(moduleOf(manifest))
    try {
      new Model(manifest).validate()
    } catch (err) {
      mistakes.push(`${manifest.kind} ${manifest.metadata.name}: ${(err as Error).message}`)
    }
  }
  return [...mistakes, ...typeMistakes(manifests)]
}

function typeMistakes (manifests: Manifest[]): string[] {
  const file = resolve('test/manifests.ts')
  const text = manifests.map((manifest, i) =>
    `export const m${i}: import('${moduleOf(manifest)}').I${manifest.kind} = ${JSON.stringify(manifest)}\n`).join('')
  const options: ts.CompilerOptions = {
    module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2022, strict: true, skipLibCheck: true, noEmit: true, types: []
  }
  const host = ts.createCompilerHost(options)
  const { getSourceFile, fileExists } = host
  host.fileExists = name => name === file || fileExists(name)
  host.getSourceFile = (name, ...rest) =>
    name === file ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022) : getSourceFile(name, ...rest)
  const program = ts.createProgram([file], options, host)
  return ts.getPreEmitDiagnostics(program).map(({ messageText, start, file }) => {
    const { kind, metadata: { name } } = manifests[file!.getLineAndCharacterOfPosition(start!).line]!
    return `${kind} ${name}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
}
