// SPDX-License-Identifier: MIT
// Events through faults, from the gateway library to a client's iterator: none is lost, none comes twice, none out of
// order, and memory stays flat. COUNTERSIGN_LONG=1 for 10,000 events and 200 reconnects on each carrier.
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { connect, emailEnrollment, memoryStore } from 'countersign'
import {
  createGateway,
  enrollment,
  memoryCodeStore,
  memoryEventStore,
  memoryReplayStore,
  memorySessionStore,
  nodeHandler
} from 'countersign/server'
import { webSocketHandler } from 'countersign/server/websocket'
import { HUNG_MS } from '../../unit/harness/wait.mjs'
import { chaoticFetch, chaoticSocket, Faults, seeded } from './chaos-kit.mjs'

const isLong = process.env.COUNTERSIGN_LONG === '1'
const EVENTS = isLong ? 10_000 : 500
const RECONNECTS = isLong ? 200 : 20
/** The events that are on their way at once: fewer than the gateway keeps for a session. */
const AHEAD = 100
/** Of memory, after a fifth of the events and at their end. */
const GROWTH_BYTES = 4 * 2 ** 20

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')
const heap = async () => {
  for (let round = 0; round < 3; round++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return process.memoryUsage().heapUsed
}

const label = 'chaos'

const openGateway = async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const raw = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url'))
  const signer = { keyId: 'k1', publicKey: raw, sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)) }
  const codes = new Map()
  const shared = {
    label,
    signer,
    sessions: memorySessionStore(),
    replay: memoryReplayStore(),
    codes: memoryCodeStore(),
    mailer: ({ email, code }) => void codes.set(email, code)
  }
  const gateway = await createGateway({
    ...shared,
    events: memoryEventStore(),
    limits: { heartbeatMs: 100 },
    routes: {},
    enrollment: enrollment(shared)
  })
  const server = createServer(nodeHandler(gateway)).listen(0, '127.0.0.1')
  server.on('upgrade', webSocketHandler(gateway))
  await once(server, 'listening')
  const url = `http://127.0.0.1:${server.address().port}`
  const clientOf = async (options) => {
    const client = await connect({
      url,
      label,
      serverKeys: [{ id: 'k1', publicKey: raw }],
      store: memoryStore(),
      timeoutMs: HUNG_MS,
      // Shortens the waits between two tries, which are random and so no whole numbers. Time limits stay.
      schedule: (run, ms) => {
        const timer = setTimeout(run, Number.isInteger(ms) ? ms : ms / 100)
        return () => clearTimeout(timer)
      },
      ...options
    })
    const email = `${codes.size}@example.com`
    await emailEnrollment(client, { email, code: () => codes.get(email) })
    return client
  }
  const close = async () => {
    await gateway.close()
    server.closeAllConnections()
    server.close()
  }
  return { gateway, clientOf, close }
}

for (const carrier of ['sse', 'websocket', 'poll']) {
  test(`E12 H2 ${carrier}: ${EVENTS} events over ${RECONNECTS} reconnects and more, none lost, none twice, none out of order`, async (t) => {
    const seed = 20_261_126
    // An answer to a poll brings many events, so more answers get a fault.
    const faults = new Faults(seeded(seed), carrier === 'poll' ? 0.5 : (RECONNECTS * 2.2) / EVENTS)
    const { gateway, clientOf, close } = await openGateway()
    t.after(close)
    let isOn = false
    const fetchThrough = chaoticFetch(faults, () => isOn && carrier === 'poll')
    const webSocket = chaoticSocket(faults)
    const client = await clientOf({ fetch: fetchThrough, webSocket })
    let drops = 0
    client.on('connection', ({ state }) => {
      drops += Number(state === 'connecting' || state === 'offline')
    })

    // Genuine events of another session, which a fault inserts.
    const other = await clientOf({})
    const overheard = other.events({ carrier: 'sse' })
    const first = overheard.next()
    await new Promise((resolve) => other.on('connection', ({ state }) => state === 'live' && resolve()))
    await gateway.publish(other.sessionId, 'n', '0')
    assert.equal((await first).value.sequence, 1)
    await other.close()

    const got = []
    let early
    isOn = true
    const reading = (async () => {
      for await (const { type, sequence, payload } of client.events({ carrier, after: 0 })) {
        got.push(`${type} ${sequence} ${Buffer.from(payload)}`)
        if (sequence === EVENTS / 5) early = heap()
        if (got.length >= EVENTS) break
      }
    })()
    let failure
    reading.catch((error) => {
      failure = error
    })
    for (let number = 1; number <= EVENTS; number++) {
      while (number - got.length > AHEAD && !failure) await new Promise((resolve) => setTimeout(resolve, 1))
      await gateway.publish(client.sessionId, 'n', `${number}`)
      // There are few polls when many events come at once.
      if (carrier === 'poll') while (number - got.length > 8 && !failure) await new Promise((r) => setTimeout(r, 1))
    }
    await reading
    assert.deepEqual(
      got,
      Array.from({ length: EVENTS }, (_, at) => `n ${at + 1} ${at + 1}`)
    )
    const opened = {
      sse: fetchThrough.opened(),
      websocket: webSocket.opened(),
      poll: faults.total - faults.counts.delay
    }[carrier]
    got.length = 0
    const growth = (await heap()) - (await early)
    t.diagnostic(
      `${carrier}, seed ${seed}: ${opened} connections, ${JSON.stringify(faults.counts)}, ${drops} times not live, ${growth} bytes of growth`
    )
    assert.ok(opened > RECONNECTS, `${opened} connections`)
    assert.ok(growth < GROWTH_BYTES, `memory grew by ${growth} bytes`)
    assert.equal(client.state, 'ready')
    await client.close()
  })
}
