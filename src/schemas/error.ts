import { Type } from '@sinclair/typebox'

/** Every error answer of both listeners. The API document adds a description and an example for each status. */
export const ErrorResponse = Type.Object({
  code: Type.Integer({ description: 'The HTTP status' }),
  message: Type.String({ description: 'For people; programs read the status' })
}, { title: 'Error' })
