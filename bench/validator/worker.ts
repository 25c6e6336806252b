import { setTimeout as delay } from 'node:timers/promises'
import { createSessionValidator, type SessionValidator, type SessionValidatorOptions } from '../../packages/validator/src/index.ts'

/** A service with a validator: validates a token once a millisecond until it is refused. */

let validator: SessionValidator

process.on('message', async ({ options, token }: { options?: SessionValidatorOptions, token?: string }) => {
  if (options !== undefined) {
    validator = createSessionValidator(options)
    await validator.ready()
    process.send!('ready')
  }
  if (token === undefined) return
  await validator.validate(token)
  process.send!('warm')
  for (;;) {
    const refused = await validator.validate(token).then(() => false, () => true)
    if (refused) break
    await delay(1)
  }
  process.send!(String(process.hrtime.bigint()))
})
