// SPDX-License-Identifier: MIT
// A gateway of a hundred lines, for the client's suites: it serves `fetch` in memory, with every fault a test asks for. It is
// independent of countersign/server on purpose, and knows of each check only what the client's side of it needs.

import { loadCore } from 'countersign/core'

const FRAME = 'application/vnd.countersign.v1'
const AUTH = '/api/v1/public/auth/'

const utf8 = (text) => new TextEncoder().encode(text)
const text = (bytes) => new TextDecoder().decode(bytes)
const base64 = (bytes) => btoa(String.fromCharCode(...bytes))
const fromBase64 = (value) => Uint8Array.from(atob(value ?? ''), (character) => character.charCodeAt(0))
export const base64Url = (bytes) => base64(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
const fromBase64Url = (value) => fromBase64(value.replaceAll('-', '+').replaceAll('_', '/'))

/** A key pair of the platform; WebKitGTK fails to make an Ed25519 one now and then. */
export const platformKeyPair = async (extractable = false) => {
  for (let tries = 0; ; tries++) {
    try {
      return await crypto.subtle.generateKey('Ed25519', extractable, ['sign', 'verify'])
    } catch (error) {
      if (tries === 5) throw error
    }
  }
}

const serverKey = async () => {
  const pair = await platformKeyPair()
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey))
  const sign = async (bytes) => new Uint8Array(await crypto.subtle.sign('Ed25519', pair.privateKey, bytes))
  return { publicKey, sign }
}

const parsers = {
  frame: async (core, request) => core.parseFrame(new Uint8Array(await request.arrayBuffer())),
  header: async (core, request) => ({
    ...core.parseFrame(fromBase64Url(request.headers.get('countersign'))),
    payload: new Uint8Array(await request.arrayBuffer())
  }),
  json: async (core, request, label) => {
    const body = await request.json()
    return {
      signingInput: core.requestSigningInput({
        ...body,
        label,
        timestampMs: Number(body.timestampMs),
        payloadHash: fromBase64(body.payloadHash)
      }),
      signature: fromBase64(body.signature),
      payload: fromBase64(body.payloadBytes)
    }
  }
}

const writers = {
  frame: (core, { signingInput, keyId, signature, payload, status }) =>
    new Response(core.buildFrame({ signingInput, keyId, signature, payload }), {
      status,
      headers: { 'content-type': FRAME, 'cache-control': 'no-store, no-transform' }
    }),
  header: (core, { signingInput, keyId, signature, payload, status, headers }) =>
    new Response([204, 205, 304].includes(status) || payload.length === 0 ? null : payload, {
      status,
      headers: { ...headers, countersign: base64Url(core.buildFrame({ signingInput, keyId, signature })) }
    }),
  json: (_core, { fields, signature, payload, status }) =>
    new Response(
      JSON.stringify({
        protocolVersion: 'v1',
        requestId: fields.requestId,
        timestampMs: String(fields.timestampMs),
        resultCode: fields.resultCode,
        ...(payload.length > 0 ? { payloadBytes: base64(payload) } : {}),
        payloadHash: base64(fields.payloadHash),
        signature: base64(signature)
      }),
      { status, headers: { 'content-type': 'application/json' } }
    )
}

const statuses = { 'cs.stale': 401, 'cs.unauthenticated': 401, 'cs.session_revoked': 401, 'cs.replayed': 409 }
const moreStatuses = { 'cs.rate_limited': 429, 'cs.unavailable': 503, 'cs.internal': 500, 'cs.too_large': 413 }
const statusOf = (code) => statuses[code] ?? moreStatuses[code] ?? (code.startsWith('cs.') ? 400 : 200)

/**
 * fakeGateway gives `fetch` and what a test looks at: `seen`, every request whose signature verified. `intercept(exchange,
 * answer)` may answer in its place: `exchange` has the request's fields, `answer(overrides)` makes the honest Response, or
 * one with another `resultCode`, `payload`, `requestId`, `timestampMs`, `status`, `key`, `keyId` or `label`.
 */
export const fakeGateway = async ({ label = 'demo', now = Date.now } = {}) => {
  const core = await loadCore()
  const key = await serverKey()
  const gateway = {
    origin: 'https://gateway.test',
    label,
    core,
    now,
    pastMs: 60_000,
    futureMs: 10_000,
    keys: [{ id: 'k1', publicKey: key.publicKey }],
    sign: key.sign,
    sessions: new Map(),
    seen: [],
    /** Every URL and init that fetch was given. */
    calls: [],
    challenges: new Map(),
    code: '123456',
    rotations: 0,
    /** Whether a new key needs its user's code, as `rotation: 'confirm'` does. */
    asksForCodes: false,
    intercept: undefined
  }
  const ids = new Set()

  const answerWith = async (exchange, overrides = {}) => {
    const { resultCode = 'ok', payload = new Uint8Array(0) } = { ...exchange.result, ...overrides }
    const bytes = typeof payload === 'string' ? utf8(payload) : payload
    const fields = {
      label: overrides.label ?? label,
      requestId: overrides.requestId ?? exchange.requestId,
      timestampMs: overrides.timestampMs ?? gateway.now(),
      resultCode,
      payloadHash: overrides.payloadHash ?? core.sha256(bytes)
    }
    const signingInput = core.responseSigningInput(fields)
    const signature = overrides.signature ?? (await (overrides.key ?? key).sign(signingInput))
    const status = overrides.status ?? exchange.result?.status ?? statusOf(resultCode)
    const sent = overrides.sentPayload ?? bytes
    const parts = { fields, signingInput, signature, keyId: overrides.keyId ?? 'k1', payload: sent, status }
    return writers[exchange.binding](core, { ...parts, headers: overrides.headers })
  }

  const verify = async (session, input, signature) => {
    if (session.algorithm === 'ed25519') return core.verifyEd25519(session.publicKey, input, signature)
    const curve = { name: 'ECDSA', namedCurve: 'P-256' }
    const imported = await crypto.subtle.importKey('raw', session.publicKey, curve, false, ['verify'])
    return crypto.subtle.verify({ name: 'ECDSA', hash: 'SHA-256' }, imported, signature, input)
  }

  // The key before a rotation counts for a minute, for what was stamped before.
  const signerOf = async (session, { signingInput, timestampMs, messageType }, signature) => {
    if (await verify(session, signingInput, signature)) return session
    const { previous } = session
    if (!previous) return undefined
    const ageMs = gateway.now() - previous.replacedMs
    const isTimely =
      messageType === 'cs.freeze' ? ageMs <= 86_400_000 : ageMs <= 60_000 && timestampMs <= previous.replacedMs
    return isTimely && (await verify(previous, signingInput, signature)) ? previous : undefined
  }

  const ask = (about) => {
    const id = `challenge-${gateway.challenges.size}`
    gateway.challenges.set(id, about)
    return JSON.stringify({ challenge_id: id })
  }

  const rotate = async ({ deviceSessionId, requestId, payload, signer }) => {
    const { algorithm, public_key, proof, confirmation } = JSON.parse(text(payload))
    const publicKey = fromBase64(public_key)
    const head = requestId.slice(0, requestId.lastIndexOf('.'))
    const input = core.rotateSigningInput({ label, deviceSessionId, requestId: head, algorithm, publicKey })
    if (!(await verify({ algorithm, publicKey }, input, fromBase64(proof)))) return { resultCode: 'invalid_proof' }
    const session = gateway.sessions.get(deviceSessionId)
    if (session !== signer) return { resultCode: 'conflict' }
    if (gateway.asksForCodes) {
      if (!confirmation) return { resultCode: 'confirmation_required', payload: ask(public_key) }
      const { challenge_id: id, code } = confirmation
      if (gateway.challenges.get(id) !== public_key || code !== gateway.code)
        return { resultCode: 'confirmation_refused' }
    }
    const previous = { algorithm: session.algorithm, publicKey: session.publicKey, replacedMs: gateway.now() }
    gateway.sessions.set(deviceSessionId, { ...session, algorithm, publicKey, previous })
    gateway.rotations++
    return {}
  }

  const judge = async (exchange, signature) => {
    const { deviceSessionId, timestampMs, requestId, payload, payloadHash } = exchange
    const session = gateway.sessions.get(deviceSessionId)
    exchange.signer = session && (await signerOf(session, exchange, signature))
    if (!exchange.signer) return 'cs.unauthenticated'
    gateway.seen.push(exchange)
    if (session.isRevoked) return 'cs.session_revoked'
    const nowMs = gateway.now()
    if (timestampMs < nowMs - gateway.pastMs || timestampMs > nowMs + gateway.futureMs) return 'cs.stale'
    if (ids.has(requestId)) return 'cs.replayed'
    ids.add(requestId)
    return base64(core.sha256(payload)) === base64(payloadHash) ? undefined : 'cs.payload_mismatch'
  }

  const handle = (exchange) => {
    const { binding, messageType, deviceSessionId, payload } = exchange
    if (messageType === 'cs.rotate_key') return rotate(exchange)
    if (binding === 'header') return { resultCode: 'http.200', payload }
    if (messageType === 'cs.time') return {}
    if (messageType === 'cs.sessions') {
      const { name } = gateway.sessions.get(deviceSessionId)
      const sessions = [
        { device_session_id: deviceSessionId, name, algorithm: 'ed25519', status: 'active', created_ms: 1 }
      ]
      return {
        payload: JSON.stringify({ sessions: sessions.map((one) => ({ ...one, last_seen_ms: 2, current: true })) })
      }
    }
    if (messageType === 'cs.rename') {
      const { device_session_id: id, name } = JSON.parse(text(payload))
      if (!gateway.sessions.has(id)) return { resultCode: 'not_found' }
      gateway.sessions.get(id).name = name
    }
    if (messageType === 'cs.freeze') gateway.sessions.get(deviceSessionId).isRevoked = true
    if (messageType === 'cs.revoke') gateway.sessions.get(JSON.parse(text(payload)).device_session_id).isRevoked = true
    return messageType === 'demo.fail' ? { resultCode: 'refused', payload } : { payload }
  }

  const exchangeOver = async (binding, request) => {
    const { signingInput, signature, payload } = await parsers[binding](core, request, label)
    const { kind, ...fields } = core.parseSigningInput(signingInput)
    const exchange = { binding, kind, ...fields, signingInput, signature, payload, url: request.url, request }
    const refusal = await judge(exchange, signature)
    const refused = { resultCode: refusal, payload: binding === 'header' && request.method === 'HEAD' ? '' : '{}' }
    exchange.result = refusal ? refused : await handle(exchange)
    const answer = (overrides) => answerWith(exchange, overrides)
    return (await gateway.intercept?.(exchange, answer)) ?? answer()
  }

  const problem = (status, title) =>
    new Response(JSON.stringify({ type: 'about:blank', title, status }), {
      status,
      headers: { 'content-type': 'application/problem+json' }
    })

  const enroll = async (path, body) => {
    if (path === 'send-email-code') {
      const challengeId = base64Url(crypto.getRandomValues(new Uint8Array(16)))
      gateway.challenges.set(challengeId, { email: body.email })
      return new Response(JSON.stringify({ challenge_id: challengeId }), {
        headers: { 'content-type': 'application/json' }
      })
    }
    const challenge = gateway.challenges.get(body.challenge_id)
    if (!challenge || body.code !== gateway.code) return problem(400, 'wrong code')
    const { algorithm } = body
    const publicKey = fromBase64(body.client_public_key)
    const input = core.enrollSigningInput({
      label,
      challengeId: body.challenge_id,
      algorithm,
      publicKey,
      email: challenge.email
    })
    if (!(await verify({ algorithm, publicKey }, input, fromBase64(body.proof)))) return problem(400, 'wrong proof')
    const bound = body.client_public_key
    if (challenge.bound !== undefined && challenge.bound !== bound) return problem(409, 'challenge used')
    challenge.bound = bound
    challenge.sessionId ??= base64Url(crypto.getRandomValues(new Uint8Array(16)))
    gateway.sessions.set(challenge.sessionId, { algorithm, publicKey, isRevoked: false })
    const result = {
      resultCode: 'http.200',
      status: 200,
      payload: JSON.stringify({ device_session_id: challenge.sessionId })
    }
    const exchange = {
      binding: 'header',
      messageType: 'confirm',
      requestId: base64Url(core.sha256(input)),
      result,
      body
    }
    const answer = (overrides) => answerWith(exchange, overrides)
    return (await gateway.intercept?.(exchange, answer)) ?? answer()
  }

  gateway.fetch = async (url, init) => {
    gateway.calls.push({ url, init })
    init.signal?.throwIfAborted()
    const request = new Request(url, { ...init, signal: null })
    const { pathname } = new URL(url)
    if (pathname.startsWith(AUTH)) return enroll(pathname.slice(AUTH.length), await request.json())
    if (request.headers.has('countersign')) return exchangeOver('header', request)
    return exchangeOver(request.headers.get('content-type') === FRAME ? 'frame' : 'json', request)
  }

  /** Another server's key under whatever name. */
  gateway.foreignKey = serverKey
  return gateway
}
