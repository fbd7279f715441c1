// SPDX-License-Identifier: MIT
// A client with the clocks of its machine, which a test falsifies through libfaketime: it enrols, then sends one request after
// each change of the clock, and prints what became of it as lines of JSON.
import { readFileSync, writeFileSync } from 'node:fs'
import { connect, emailEnrollment, memoryStore } from 'countersign'

const [url, file, ...offsets] = process.argv.slice(2)

const { label, server_keys: keys } = await (await fetch(`${url}/.well-known/countersign.json`)).json()
const serverKeys = keys.map(({ id, public_key: publicKey }) => ({ id, publicKey }))
const client = await connect({ url, label, serverKeys, store: memoryStore(), retries: 0 })
const email = `faketime-${process.pid}-${offsets.length}@example.com`
const code = async (challengeId) => {
  const outbox = await (await fetch(`${url}/dev/outbox?email=${encodeURIComponent(email)}`)).json()
  return outbox.find(({ challenge_id: id }) => id === challengeId).code
}
await emailEnrollment(client, { email, code })

const report = async (offset) => {
  const wallMs = Date.now()
  const stated = client.clock.errorMs
  const sentMs = performance.now()
  const { serverTimeMs, timings } = await client.request('demo.echo')
  const view = client.clock
  const line = {
    offset,
    wallMs,
    statedBeforeMs: stated,
    tries: timings.tries,
    // The server's time when the answer was made lies between sending and now.
    behindMs: view.now() - serverTimeMs,
    tripMs: performance.now() - sentMs,
    errorMs: view.errorMs,
    offsetMs: view.offsetMs
  }
  console.log(JSON.stringify(line))
}

await report(readFileSync(file, 'utf8').trim())
for (const offset of offsets) {
  writeFileSync(file, `${offset}\n`)
  await report(offset)
}
await client.close()
