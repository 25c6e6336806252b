// One origin for the page and the services behind it. A real product uses nginx for this.
import { createReadStream } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { pipeline } from 'node:stream'

const files = {
  '/': ['page/index.html', 'text/html'],
  '/page.js': ['page/page.js', 'text/javascript'],
  '/follow.js': ['page/follow.js', 'text/javascript'],
  '/page.css': ['page/page.css', 'text/css'],
  '/refresh-token-client.js': ['../packages/client/dist/index.js', 'text/javascript']
}

/** @param routes pairs of a path prefix and the address of its service; the first match wins. */
export const createGateway = routes => createServer((request, response) => {
  const [file, type] = files[request.url] ?? []
  const [, target] = routes.find(([beginning]) => request.url.startsWith(beginning)) ?? []
  if (file !== undefined) {
    response.writeHead(200, { 'Content-Type': `${type}; charset=utf-8` })
    pipeline(createReadStream(new URL(file, import.meta.url)), response, () => {})
  } else if (target !== undefined) {
    forward(request, response, target)
  } else {
    response.writeHead(404).end()
  }
})

function forward (request, response, target) {
  const { method, headers } = request
  const onward = httpRequest(target + request.url, { method, headers }, answer => {
    response.writeHead(answer.statusCode, answer.headers)
    pipeline(answer, response, () => {})
  })
  onward.on('error', () => { if (!response.headersSent) response.writeHead(502).end() })
  pipeline(request, onward, () => {})
}
