import { Type } from '@sinclair/typebox'

/** Every error answer of both listeners. */
export const ErrorResponse = Type.Object({
  code: Type.Integer({ description: 'The HTTP status again' }),
  message: Type.String()
})
