import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdir, readFile, realpath, writeFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { loadConfig, secretNames, type Config } from '#src/config/environment'
import { Environment } from '#src/config/schema'
import { kustomize, mistakesOf, readManifests, render, type Manifest } from '../support/kubernetes.ts'
import { apiKey, secret, startRedis, startService, tempFolder, type ServiceProcess } from '../support/helper.ts'

/** deploy/kubernetes, checked without a cluster. The job `kind` of the public workflow runs it in one. */

const FOLDER = 'deploy/kubernetes'
const overlays = ['overlays/sentinel', 'overlays/cluster', 'kind', 'base'].map(name => join(FOLDER, name))
const { manifests, kustomizations } = await readManifests(FOLDER)
const find = (kind: string, name = 'refresh-token-service', all = manifests): Manifest =>
  all.find(manifest => manifest.kind === kind && manifest.metadata.name === name)!

const deployment = find('Deployment')
const pod = deployment.spec.template.spec
const [container] = pod.containers
const labels: Record<string, string> = deployment.spec.template.metadata.labels
const isSelected = (selector: Record<string, string>): boolean => Object.entries(selector).every(([name, value]) => labels[name] === value)

t.test('every manifest matches the schemas of the Kubernetes API, without unknown keys', async t => {
  t.same(manifests.filter(({ metadata }) => metadata.name === 'refresh-token-service').map(({ kind }) => kind).sort(), [
    'Deployment', 'HorizontalPodAutoscaler', 'NetworkPolicy', 'PodDisruptionBudget', 'PrometheusRule', 'Service', 'ServiceMonitor'
  ])
  t.same(await mistakesOf(manifests), [])
  const wrong = [
    { ...deployment, spec: { ...deployment.spec, progressDeadlineSeconds: 'x' } },
    { ...deployment, spec: { ...deployment.spec, stratgy: {} } },
    { ...find('ServiceMonitor'), spec: { endpoints: [{ port: 3001 }], selector: {} } }
  ]
  t.match(await mistakesOf(wrong), [
    /^Deployment refresh-token-service: data\/spec\/progressDeadlineSeconds must be integer/,
    /^ServiceMonitor refresh-token-service: data\/spec\/endpoints\/0\/port must be string/,
    /^Deployment refresh-token-service: Type 'string' is not assignable/,
    /^Deployment refresh-token-service: .*stratgy.* does not exist/,
    /^ServiceMonitor refresh-token-service: Type 'number' is not assignable/
  ])
})

t.test('every file of every kustomization exists', async t => {
  t.same(Object.keys(kustomizations).sort(), [...overlays, join(FOLDER, 'monitoring'), join(FOLDER, 'kind/load')].sort())
  for (const [folder, { resources = [], components = [], configMapGenerator = [] }] of Object.entries(kustomizations)) {
    const files = configMapGenerator.flatMap(({ files = [] }: { files?: string[] }) => files)
    for (const path of [...resources, ...components, ...files]) await t.resolves(access(join(folder, path)), path)
  }
})

t.test('every overlay renders to valid manifests in one namespace', { skip: kustomize === undefined && 'needs kubectl or kustomize' }, async t => {
  const all = [...overlays, join(FOLDER, 'kind/load')].map(folder => ({ rendered: render(folder), namespace: kustomizations[folder]!.namespace }))
  t.same(await mistakesOf(all.flatMap(({ rendered }) => rendered)), [])
  for (const { rendered, namespace } of all) t.ok(rendered.every(({ metadata }) => metadata.namespace === namespace))
  const [{ rendered }] = all as [typeof all[number]]
  const { spec: { template: { spec: { containers: [{ env, envFrom }] } } } } = find('Deployment', undefined, rendered)
  const [{ configMapRef: { name } }] = envFrom
  t.match(name, /^refresh-token-service-\w{10}$/, 'a changed value changes the name, and so starts a rolling update')
  t.match(find('ConfigMap', name, rendered).data, { SHUTDOWN_DELAY: '15', REDIS_WAIT_REPLICAS: '1' })
  t.match(env.at(-1), { name: 'REDIS_SENTINEL_PASSWORD_FILE' })
  t.ok(find('PrometheusRule', undefined, rendered))
  const [container] = find('Deployment', undefined, render(join(FOLDER, 'kind'))).spec.template.spec.containers
  t.match(container, { image: 'refresh-token-service:kind', imagePullPolicy: 'Never', resources: { requests: { cpu: '100m' } } })
})

t.test('the public workflow runs the rolling update in a kind cluster', async t => {
  const { jobs: { kind: { steps } } } = parse(await readFile('.github/workflows/ci.yml', 'utf8'))
  t.match(steps.map(({ run }: { run?: string }) => run).join('\n'),
    /docker build --tag refresh-token-service:kind \.\nkind create cluster .*\ndeploy\/kubernetes\/kind\/rolling-update\.sh\n/)
})

t.test('the overlay of the documentation renders', { skip: kustomize === undefined && 'needs kubectl or kustomize' }, async t => {
  const [, overlay] = /```yaml\n([^]*?)```/.exec(await readFile('docs/kubernetes.md', 'utf8'))!
  const folder = await tempFolder(t)
  await mkdir(folder, { recursive: true })
  // Kustomize resolves links of the folder, and refuses absolute paths.
  const path = relative(await realpath(folder), resolve(FOLDER))
  await writeFile(join(folder, 'kustomization.yaml'), overlay!.replace('refresh-token-service/deploy/kubernetes', path))
  const rendered = render(folder)
  t.same(rendered.find(({ kind }) => kind === 'ConfigMap')!.data, {
    HOST: '0.0.0.0',
    INTERNAL_HOST: '0.0.0.0',
    SHUTDOWN_DELAY: '15',
    REDIS_WAIT_REPLICAS: '1',
    TRUST_PROXY: '10.0.0.0/8',
    JWT_ISSUER: 'https://accounts.example'
  })
  t.match(find('Deployment', undefined, rendered).spec.template.spec.containers[0].image, /^registry\.example\/refresh-token-service@sha256:/)
  t.same(find('NetworkPolicy', undefined, rendered).spec.ingress[1].from, find('NetworkPolicy').spec.ingress[1].from)
})

/** The configuration of a pod of an overlay, with secrets in files as the Secret of the documentation has them. */
async function configOf (t: Test, overlay: string, secrets: Record<string, string>): Promise<{ config: Config, files: string[] }> {
  const folder = await tempFolder(t)
  await mkdir(folder, { recursive: true })
  for (const [name, value] of Object.entries(secrets)) await writeFile(join(folder, name), value)
  const literals = [join(FOLDER, 'base'), overlay].flatMap(folder => kustomizations[folder]!.configMapGenerator?.[0].literals ?? [])
  const patches = kustomizations[overlay]!.patches ?? []
  const added = patches.flatMap(({ patch }: { patch: string }) => parse(patch)).filter(({ path }: { path: string }) => path.endsWith('/env/-'))
  const [{ mountPath }] = container.volumeMounts
  const files = [...container.env, ...added.map(({ value }: { value: object }) => value)] as Array<{ name: string, value: string }>
  const env = {
    NODE_ENV: 'production',
    ...Object.fromEntries(literals.map((literal: string) => literal.split('='))),
    ...Object.fromEntries(files.map(({ name, value }) => [name, value.replace(mountPath, folder)]))
  }
  t.same(Object.keys(env).filter(name => !(name in Environment.properties) && !secretNames.includes(name.replace(/_FILE$/, ''))), [], 'the service knows every variable')
  for (const { name, value } of files) t.equal(value, `${mountPath}/${name.replace(/_FILE$/, '')}`, 'a key of the Secret has the name of its variable')
  return { config: loadConfig(env), files: files.map(({ name }) => name.replace(/_FILE$/, '')) }
}

t.test('the service accepts the configuration of every overlay, and has the time to end', async t => {
  const secrets = { ACCESS_TOKEN_SECRETS: secret(), REFRESH_TOKEN_SECRETS: secret(), INTERNAL_API_KEYS: `login:open:${secret()}` }
  const given: Record<string, Record<string, string>> = {
    base: { REDIS_URL: 'redis://redis:6379' },
    'overlays/sentinel': { REDIS_URL: 'redis+sentinel://a:26379/refresh', REDIS_SENTINEL_PASSWORD: secret() },
    'overlays/cluster': { REDIS_URL: 'redis+cluster://a:6379' }
  }
  for (const [name, redis] of Object.entries(given)) {
    const all = { ...secrets, ...redis }
    const { config, files } = await configOf(t, join(FOLDER, name), all)
    t.same(files.sort(), Object.keys(all).sort())
    t.match(config, { HOST: '0.0.0.0', INTERNAL_HOST: '0.0.0.0', ...all })
    t.ok(pod.terminationGracePeriodSeconds >= config.SHUTDOWN_DELAY + 10, 'SHUTDOWN_DELAY, five seconds, and a margin')
    t.match(container.ports, [{ name: 'public', containerPort: config.PORT }, { name: 'internal', containerPort: config.INTERNAL_PORT }])
  }
  t.equal(pod.volumes[0].secret.secretName, 'refresh-token-service')
  t.equal(pod.volumes[0].secret.defaultMode, 0o440, 'for the group of the process alone')
})

t.test('a pod has no privileges, no token of the API, and nothing to write to', async t => {
  t.match(pod, {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } }
  })
  for (const { spec: { template } } of manifests.filter(({ kind }) => kind === 'Deployment')) {
    for (const { securityContext } of template.spec.containers) {
      t.match(securityContext, { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } })
    }
  }
  t.ok(container.resources.requests.cpu && container.resources.limits.memory)
})

t.test('selectors find the pods, and an update takes no pod out before its successor is ready', async t => {
  t.ok(isSelected(deployment.spec.selector.matchLabels))
  for (const name of ['refresh-token-service', 'refresh-token-service-internal']) {
    const { spec } = find('Service', name)
    t.ok(isSelected(spec.selector), name)
    for (const { targetPort } of spec.ports) t.ok(container.ports.some(({ name }: { name: string }) => name === targetPort))
  }
  t.ok(isSelected(find('PodDisruptionBudget').spec.selector.matchLabels))
  for (const { labelSelector } of pod.topologySpreadConstraints) t.ok(isSelected(labelSelector.matchLabels))
  t.same(deployment.spec.strategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 })
  const { spec } = find('HorizontalPodAutoscaler')
  t.match(spec, { scaleTargetRef: { kind: 'Deployment', name: deployment.metadata.name }, metrics: [{ resource: { name: 'cpu' } }] })
  t.equal(deployment.spec.replicas, undefined, 'the autoscaler decides')
  t.ok(spec.minReplicas > find('PodDisruptionBudget').spec.maxUnavailable)
})

t.test('only named namespaces reach the internal port', async t => {
  const { spec: { podSelector, policyTypes, ingress } } = find('NetworkPolicy')
  t.ok(isSelected(podSelector.matchLabels))
  t.same(policyTypes, ['Ingress'])
  t.equal(ingress.length, 2)
  t.same(ingress[0], { ports: [{ port: 'public' }] })
  t.same(ingress[1].ports, [{ port: 'internal' }])
  t.equal(ingress[1].from.length, 1)
  t.match(ingress[1].from[0], { namespaceSelector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In' }] } })
})

t.test('Prometheus gets the alerts of deploy/alerts.yml, and the job name that they need', async t => {
  t.same(find('PrometheusRule').spec, parse(await readFile('deploy/alerts.yml', 'utf8')), 'after a change: npm run alerts')
  const { spec: { jobLabel, selector, endpoints: [{ port, path }] } } = find('ServiceMonitor')
  const services = manifests.filter(({ kind, metadata }) => kind === 'Service' &&
    Object.entries(selector.matchLabels).every(([name, value]) => metadata.labels?.[name] === value))
  t.same(services.map(({ metadata }) => metadata.name), ['refresh-token-service-internal'])
  t.equal(services[0]!.metadata.labels![jobLabel], parse(await readFile('deploy/prometheus.yml', 'utf8')).scrape_configs[0].job_name)
  t.equal(services[0]!.spec.ports[0].name, port)
  t.equal(path, '/metrics')
})

t.test('the probes are routes of the internal listener', async t => {
  const { internalUrl, child, exited } = await service(t)
  for (const name of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
    const { path, port } = container[name].httpGet
    t.equal(port, 'internal')
    t.equal((await fetch(internalUrl + path)).status, 200, path)
  }
  child.kill('SIGTERM')
  await exited
})

t.test('the load of the kind job counts refreshes, and ends with an error if one failed', async t => {
  execFileSync('bash', ['-n', join(FOLDER, 'kind/rolling-update.sh')])
  const { publicUrl, internalUrl, child } = await service(t)
  for (const isKilled of [false, true]) {
    const clients = spawn(process.execPath, [join(FOLDER, 'kind/load/load.mjs')], {
      env: { PUBLIC_URL: publicUrl, INTERNAL_URL: internalUrl, API_KEY: apiKey, CLIENTS: '3' }
    })
    t.teardown(() => { clients.kill('SIGKILL') })
    const lines = createInterface(clients.stdout).on('line', line => { last = line })
    const errors = createInterface(clients.stderr)
    let last = ''
    await once(lines, 'line')
    if (isKilled) {
      child.kill('SIGKILL')
      await once(errors, 'line')
    }
    clients.kill('SIGTERM')
    t.same((await once(clients, 'close'))[0], isKilled ? 1 : 0)
    t.match(last, isKilled ? / refreshes, [1-9]\d* failed$/ : /^[1-9]\d* refreshes, 0 failed$/)
  }
})

async function service (t: Test): Promise<ServiceProcess> {
  const { url } = await startRedis(t)
  return await startService(t, {
    NODE_ENV: 'production',
    SHUTDOWN_DELAY: '0',
    REDIS_URL: url,
    ACCESS_TOKEN_SECRETS: secret(),
    REFRESH_TOKEN_SECRETS: secret(),
    INTERNAL_API_KEYS: `login:open:${apiKey}`
  })
}
