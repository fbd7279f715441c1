// SPDX-License-Identifier: MIT
// What the gateway's tests share: devices that sign with node:crypto, a gateway over memory stores with a fake clock, and
// answers judged by the core. Nothing of the client library is used: a fault there must not hide one here.
import assert from 'node:assert/strict'
import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createServer } from 'node:http'
import { loadCore } from 'countersign/core'
import { createGateway, memoryReplayStore, memorySessionStore } from 'countersign/server'

export const core = await loadCore()
export const label = 'test'
export const FRAME = 'application/vnd.countersign.v1'
export const startMs = 1_775_000_000_000

export const sha256 = (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest())
export const randomId = () => randomBytes(16).toString('base64url')
export const bytesOf = (value) => (typeof value === 'string' ? Buffer.from(value) : value)

/** rawPublicKey gives the 32 or 65 bytes of a node:crypto key. */
export const rawPublicKey = (key) => {
  const der = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return new Uint8Array(der.subarray(der.length - (key.asymmetricKeyType === 'ed25519' ? 32 : 65)))
}

/** createKey makes a device key: `{ algorithm, publicKey, sign }`. */
export const createKey = (algorithm = 'ed25519') => {
  const { privateKey } =
    algorithm === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signBytes = (bytes) =>
    new Uint8Array(
      algorithm === 'ed25519'
        ? sign(null, bytes, privateKey)
        : sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    )
  return { algorithm, publicKey: rawPublicKey(privateKey), sign: signBytes }
}

/** createSigner makes a server key of a test. */
export const createSigner = (keyId = 'k1') => {
  const { publicKey, sign: signBytes } = createKey()
  return { keyId, publicKey, sign: signBytes }
}

/** sessionOf makes the record of a device. */
export const sessionOf = (key, { id = randomId(), userId = 'user@example.com', nowMs = startMs } = {}) => ({
  id,
  userId,
  algorithm: key.algorithm,
  publicKey: key.publicKey,
  status: 'active',
  createdMs: nowMs,
  lastSeenMs: nowMs
})

/** A clock that only a test moves. */
export const createFakeClock = (nowMs = startMs) => {
  const clock = () => clock.ms
  clock.ms = nowMs
  return clock
}

/**
 * createWorld makes a gateway with one enrolled device, and what a test needs to talk to it. Options override the gateway's.
 */
export const createWorld = async ({ algorithm, userId, ...options } = {}) => {
  const now = options.now ?? createFakeClock()
  const sessions = options.sessions ?? memorySessionStore()
  const replay = options.replay ?? memoryReplayStore({ capacity: 4096 })
  const signer = options.signer ?? createSigner()
  const stages = []
  const refusals = []
  const faults = []
  const handled = []
  const routes = {
    'demo.echo': (context) => {
      handled.push(context)
      return { payload: context.payload }
    },
    'POST /api/echo': (context) => {
      handled.push(context)
      return { payload: context.payload }
    },
    'GET /api/time': () => ({ payload: '{"t":1}', contentType: 'application/json' }),
    ...options.routes
  }
  const gateway = createGateway({
    label,
    onStage: (event) => stages.push(event),
    onRefusal: (event) => refusals.push(event),
    logger: { error: (message, error) => faults.push({ message, error }) },
    ...options,
    now,
    sessions,
    replay,
    signer,
    routes
  })
  const device = await enrol(sessions, { algorithm, userId, nowMs: now() })
  const world = { gateway, sessions, replay, signer, now, stages, refusals, faults, handled, device }
  return { ...world, ...clientOf(world) }
}

/** enrol puts a new device straight into a session store. */
export const enrol = async (sessions, { algorithm, userId, nowMs } = {}) => {
  const key = createKey(algorithm)
  const session = sessionOf(key, { userId, nowMs })
  await sessions.create(session)
  return { ...key, id: session.id, session }
}

/** signRequest makes a request of a device: `{ requestId, signingInput, signature, envelope, frame, payload, fields }`. */
export const signRequest = (device, options = {}) => {
  const { type = 'demo.echo', payload = '{"x":1}', nowMs = startMs, head = randomId(), idempotencyKey } = options
  const body = bytesOf(payload)
  const fields = {
    label: options.label ?? label,
    protocolVersion: options.version ?? 'v1',
    deviceSessionId: options.sessionId ?? device.id,
    messageType: type,
    timestampMs: options.timestampMs ?? nowMs,
    requestId: idempotencyKey === undefined ? head : `${head}~${idempotencyKey}`,
    payloadHash: options.payloadHash ?? sha256(body)
  }
  const begun =
    options.requestId === undefined
      ? core.beginRequest(fields)
      : {
          requestId: options.requestId,
          signingInput: core.requestSigningInput({ ...fields, requestId: options.requestId })
        }
  const signature = options.signature ?? device.sign(begun.signingInput)
  const parts = { signingInput: begun.signingInput, keyId: options.keyId ?? '', signature }
  return {
    ...begun,
    fields: { ...fields, requestId: begun.requestId },
    signature,
    envelope: core.buildFrame(parts),
    frame: core.buildFrame({ ...parts, payload: body }),
    payload: body
  }
}

/** jsonOf writes a signed request in the json binding. */
export const jsonOf = ({ fields, signature, payload }, changes = {}) => ({
  protocolVersion: fields.protocolVersion,
  deviceSessionId: fields.deviceSessionId,
  messageType: fields.messageType,
  timestampMs: String(fields.timestampMs),
  requestId: fields.requestId,
  payloadBytes: Buffer.from(payload).toString('base64'),
  payloadHash: Buffer.from(fields.payloadHash).toString('base64'),
  signature: Buffer.from(signature).toString('base64'),
  ...changes
})

/** frameOfJson turns an answer of the json binding into the frame it stands for. */
export const frameOfJson = (answer) => {
  const { protocolVersion, requestId, timestampMs, resultCode } = answer
  const signingInput = core.responseSigningInput({
    label,
    protocolVersion,
    requestId,
    timestampMs: Number(timestampMs),
    resultCode,
    payloadHash: Buffer.from(answer.payloadHash, 'base64')
  })
  const payload = Buffer.from(answer.payloadBytes ?? '', 'base64')
  return core.buildFrame({ signingInput, keyId: '', signature: Buffer.from(answer.signature, 'base64'), payload })
}

const frameOfResponse = async (response) => {
  const body = new Uint8Array(await response.arrayBuffer())
  const header = response.headers.get('countersign')
  if (header !== null) return Buffer.concat([Buffer.from(header, 'base64url'), body])
  if (response.headers.get('content-type') === FRAME) return body
  return frameOfJson(JSON.parse(Buffer.from(body).toString()))
}

/** openAnswer verifies a signed answer with the core: `{ status, resultCode, timestampMs, payload, text }`. */
export const openAnswer = async (response, requestId, signer, itsLabel = label) => {
  const frame = await frameOfResponse(response)
  const keys = [{ id: signer.keyId, publicKey: signer.publicKey }]
  const opened = core.openResponse(frame, { label: itsLabel, keys, requestId, anyKey: true })
  return { status: response.status, ...opened, text: Buffer.from(opened.payload).toString() }
}

/** isPlain asserts a refusal without signature and body. */
export const isPlain = async (response, status) => {
  assert.equal(response.status, status)
  assert.equal(response.headers.get('countersign'), null)
  assert.equal((await response.arrayBuffer()).byteLength, 0)
  assert.equal(response.headers.get('cache-control'), 'no-store, no-transform')
}

/** frameRequest makes a web-standard Request in the frame binding. */
export const frameRequest = (frame, { headers = {}, ...init } = {}) =>
  new Request('http://gateway/exchange', {
    method: 'POST',
    body: frame,
    headers: { 'content-type': FRAME, ...headers },
    duplex: 'half',
    ...init
  })

/** clientOf gives the short ways to call a gateway in process. */
export const clientOf = ({ gateway, device, now, signer }) => {
  const requestOf = (options = {}) => signRequest(options.device ?? device, { nowMs: now(), ...options })
  const from = { remoteAddress: '192.0.2.1' }
  const sendFrame = (frame, init) => gateway.handle(frameRequest(frame, init), from)
  const sendHeader = (method, target, request, init = {}) =>
    gateway.handle(
      new Request(`http://gateway${target}`, {
        method,
        ...(request.payload.length > 0 && method !== 'GET' && method !== 'HEAD' ? { body: request.payload } : {}),
        headers: { countersign: Buffer.from(request.envelope).toString('base64url'), ...init.headers }
      }),
      from
    )
  return {
    requestOf,
    sendFrame,
    sendHeader,
    sendJson: (body, init = {}) =>
      gateway.handle(
        new Request('http://gateway/exchange', {
          method: 'POST',
          body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
          headers: { 'content-type': 'application/json', ...init.headers }
        }),
        from
      ),
    /** Signs, sends in the frame binding, verifies the answer. */
    async call(options = {}) {
      const request = requestOf(options)
      const response = await sendFrame(options.frame?.(request) ?? request.frame)
      return openAnswer(response, request.requestId, signer)
    },
    async callHeader(method, target, options = {}) {
      const request = requestOf({ type: `${method} ${target}`, ...options })
      const response = await sendHeader(method, target, request)
      return openAnswer(response, request.requestId, signer)
    }
  }
}

/** serve listens on a free port of the loopback until the test ends. */
export const serve = async (t, listener, { continues = false, ...options } = {}) => {
  const server = createServer(options, listener)
  if (continues) server.on('checkContinue', listener)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address()
  return { server, port, url: `http://127.0.0.1:${port}` }
}
