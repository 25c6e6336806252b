// Writes deploy/alerts.yml as a PrometheusRule for the Prometheus operator: `npm run alerts`. A test compares the two.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const deploy = join(import.meta.dirname, '..', 'deploy')
const alerts = readFileSync(join(deploy, 'alerts.yml'), 'utf8')

writeFileSync(join(deploy, 'kubernetes/monitoring/alerts.yaml'), `# Written by \`npm run alerts\` from deploy/alerts.yml.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: refresh-token-service
  labels:
    app.kubernetes.io/name: refresh-token-service
spec:
${alerts.slice(alerts.indexOf('groups:')).replace(/^(?=.)/gm, '  ')}`)
