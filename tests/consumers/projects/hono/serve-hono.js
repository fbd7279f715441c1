// SPDX-License-Identifier: MIT
// Serves the gateway by the hono recipe of docs/guide/mounts.md in the runtime that runs this file, and prints its port.
import { Hono } from 'hono'
import { countersign } from './hono.mjs'
import { start } from './server.js'

const addresses = new Set()
const identify = (_request, { remoteAddress }) => {
  addresses.add(remoteAddress)
  return remoteAddress
}
const { gateway, own } = await start({ endpoint: '/exchange', identify })
const app = new Hono()
app.use(countersign(gateway))
app.get('/addresses', (c) => c.json([...addresses]))
app.get('*', async (c) => {
  const text = await own(new URL(c.req.url))
  return text === undefined ? c.notFound() : c.text(text)
})

const here = { hostname: '127.0.0.1', port: 0 }
if (globalThis.Bun) console.log(`port ${globalThis.Bun.serve({ ...here, fetch: app.fetch }).port}`)
else globalThis.Deno.serve({ ...here, onListen: ({ port }) => console.log(`port ${port}`) }, app.fetch)
