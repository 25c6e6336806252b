/** `refresh-token-validator`: for services that receive access tokens. Imports neither Fastify nor the refresh-token service. */
export { createSessionValidator, type SessionValidator } from './validator.ts'
export { SessionValidationError, type SessionValidationCode } from './errors.ts'
export type { SessionCacheOptions, SessionValidatorOptions } from './options.ts'
export type { ValidSession } from './session.ts'
