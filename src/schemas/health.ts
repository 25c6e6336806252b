import { Type } from '@sinclair/typebox'

export const Alive = Type.Object({ status: Type.Literal('ok') }, {
  title: 'Alive', description: 'The process lives.', examples: [{ status: 'ok' }]
})

export const Ready = Type.Object({ status: Type.Literal('ready') }, {
  title: 'Ready', description: 'It can serve.', examples: [{ status: 'ready' }]
})

export const NotReady = Type.Object({ status: Type.Union([Type.Literal('draining'), Type.Literal('redis unavailable')]) }, {
  title: 'NotReady',
  description: 'It wants no requests: Redis can\'t be used, or the process is closing.',
  examples: [{ status: 'draining' }]
})
