/**
 * `refresh-token-service/validator`: for services that receive access tokens. Imports neither the server nor its plugins;
 * test/validator/package.test.ts checks this.
 */
export { createSessionValidator, type SessionValidator } from './validator.ts'
export { sessionValidation, type SessionRequirement, type SessionValidationOptions } from './fastify.ts'
export { SessionValidationError, type SessionValidationCode } from './errors.ts'
export type { SessionCacheOptions, SessionValidatorOptions } from './options.ts'
export type { ValidSession } from './session.ts'
