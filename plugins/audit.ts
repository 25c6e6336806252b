import fp from 'fastify-plugin'
import { createAudit, type Audit } from '#src/audit/audit'

/** `app.audit`: the audit trail of this listener's sessions. */
export default fp(async app => {
  const audit = createAudit(app.log)
  app.decorate('audit', audit)
  app.addHook('onClose', async () => { audit.flush() })
}, { name: 'audit' })

declare module 'fastify' {
  interface FastifyInstance {
    audit: Audit
  }
}
