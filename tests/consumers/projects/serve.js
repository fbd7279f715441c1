// SPDX-License-Identifier: MIT
// Starts the server in the runtime that runs this file, and prints its port.
import { nodeHandler, nodeServer } from 'countersign/server'
import { answer, start } from './server.js'

const here = { hostname: '127.0.0.1', port: 0 }

const serveNode = async () => {
  const { gateway, own } = await start()
  const signed = nodeHandler(gateway)
  const server = nodeServer(async (request, response) => {
    const text = await own(new URL(request.url, 'http://server'))
    if (text === undefined) signed(request, response)
    else response.end(text)
  })
  server.listen(here.port, here.hostname, () => console.log(`port ${server.address().port}`))
}

if (globalThis.Bun) console.log(`port ${globalThis.Bun.serve({ ...here, fetch: answer }).port}`)
else if (globalThis.Deno)
  globalThis.Deno.serve({ ...here, onListen: ({ port }) => console.log(`port ${port}`) }, answer)
else serveNode()
