// SPDX-License-Identifier: MIT
// The exchange vectors through the JavaScript core: every byte made, every byte taken apart, every refusal at its stage.

import { loadCore } from 'countersign/core'
import { concat, fromHex, toHex } from '../harness/bytes.mjs'
import { field, fieldsOf, KINDS, signingInputOf, writeSigningInput } from './reference.mjs'

export const suite = (test, assert, env) => {
  const load = async () => ({ core: await loadCore(), vectors: await env.vectors('exchange.json') })

  for (const kind of KINDS) {
    test(`A7 golden ${kind} messages: written, parsed and framed to the byte, and as a BigInt encoder writes them`, async () => {
      const { core, vectors } = await load()
      const cases = vectors.cases.filter((vector) => vector.kind === kind)
      assert.equal(cases.length, 24)
      for (const { name, fields: given, signing_input, signature, payload, key_id, frame } of cases) {
        const fields = fieldsOf(given)
        const input = writeSigningInput(core, kind, fields)
        assert.equal(toHex(input), signing_input, name)
        assert.equal(toHex(signingInputOf(kind, fields)), signing_input, `${name}, by the reference`)
        assert.deepEqual(core.parseSigningInput(input), { kind, ...fields }, name)
        if (frame === undefined) continue
        const parts = {
          signingInput: input,
          keyId: key_id,
          signature: fromHex(signature),
          payload: fromHex(payload)
        }
        assert.equal(toHex(core.buildFrame(parts)), frame, name)
        assert.deepEqual(core.parseFrame(fromHex(frame)), parts, name)
      }
    })

    test(`golden ${kind} messages verify under the key that signs them, and no other`, async () => {
      const { core, vectors } = await load()
      const keys = { client: fromHex(vectors.keys.client_public), server: fromHex(vectors.keys.server_public) }
      const isServers = kind === 'response' || kind === 'event'
      for (const { name, signing_input, signature } of vectors.cases.filter((vector) => vector.kind === kind)) {
        for (const [owner, key] of Object.entries(keys)) {
          const verdict = core.verifyEd25519(key, fromHex(signing_input), fromHex(signature))
          assert.equal(verdict, (owner === 'server') === isServers, `${name}, ${owner}`)
        }
      }
    })
  }

  test('bound request ids: T is made of the request, by bindRequestId and beginRequest alike', async () => {
    const { core, vectors } = await load()
    assert.equal(vectors.request_ids.length, 12)
    for (const { name, fields: given, head, request_id } of vectors.request_ids) {
      const fields = { ...fieldsOf(given), requestId: head }
      assert.equal(core.bindRequestId(fields), request_id, name)
      const whole = { ...fields, requestId: request_id }
      assert.deepEqual(
        core.beginRequest(fields),
        { requestId: request_id, signingInput: core.requestSigningInput(whole) },
        name
      )
    }
  })

  test('bound request ids: the gateway takes them, and none with a bit of T or of the request changed', async () => {
    const { core, vectors } = await load()
    const signature = new Uint8Array(64)
    for (const { name, fields: given, head, request_id } of vectors.request_ids) {
      const fields = { ...fieldsOf(given), requestId: request_id }
      const { label } = fields
      const open = (changed) => {
        const signingInput = core.requestSigningInput({ ...fields, ...changed })
        return core.openRequest(core.buildFrame({ signingInput, keyId: '', signature }), { label })
      }
      const opened = open({})
      assert.equal(opened.requestId, request_id, name)
      assert.equal(opened.idempotencyKey, head.includes('~') ? head.split('~')[1] : undefined, name)
      const bad = { code: 'ERR_BAD_REQUEST_ID', stage: 'parse' }
      const other = request_id.endsWith('A') ? 'B' : 'A'
      assert.throws(() => open({ requestId: request_id.slice(0, -1) + other }), bad, name)
      assert.throws(() => open({ deviceSessionId: 'another' }), bad, name)
      assert.throws(() => open({ timestampMs: fields.timestampMs + (fields.timestampMs > 0 ? -1 : 1) }), bad, name)
    }
  })

  const optionsOf = ({ open_response: o, keys }) => ({
    label: o.label,
    keys: [{ id: keys.server_key_id, publicKey: fromHex(keys.server_public) }],
    requestId: o.expected_request_id,
    nowMs: o.now_ms,
    pastMs: o.past_ms,
    futureMs: o.future_ms
  })

  test('openResponse releases the payload of every answer to accept', async () => {
    const { core, vectors } = await load()
    assert.equal(vectors.open_response.accept.length, 4)
    for (const { name, frame } of vectors.open_response.accept) {
      const opened = core.openResponse(fromHex(frame), optionsOf(vectors))
      assert.equal(opened.resultCode, 'ok', name)
      assert.equal(toHex(opened.payload), vectors.open_response.payload, name)
    }
  })

  test('openResponse and openEnvelope refuse each of the 45 bad answers at exactly its stage', async () => {
    const { core, vectors } = await load()
    const { refuse, payload } = vectors.open_response
    assert.equal(refuse.length, 45)
    const length = payload.length / 2
    for (const { name, stage, frame } of refuse) {
      const bytes = fromHex(frame)
      assert.throws(() => core.openResponse(bytes, optionsOf(vectors)), { stage }, name)
      if (stage === 'parse' || stage === 'payload_hash') continue
      const hash = core.sha256(bytes.slice(bytes.length - length))
      assert.throws(() => core.openEnvelope(bytes.slice(0, -length), hash, optionsOf(vectors)), { stage }, name)
    }
  })

  test('ES256 vectors: the platform agrees with each verdict over the core’s bytes', async () => {
    const { core, vectors } = await load()
    assert.equal(vectors.es256.length, 16)
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
    for (const { name, public_key, signing_input, signature, valid } of vectors.es256) {
      const input = fromHex(signing_input)
      const key = await crypto.subtle.importKey('raw', fromHex(public_key), algorithm, false, ['verify'])
      assert.equal(await crypto.subtle.verify(algorithm, key, fromHex(signature), input), valid, name)
      assert.deepEqual(core.requestSigningInput(core.parseSigningInput(input)), input, name)
    }
  })

  test('the replay key is SHA-256(field(label) · field(session) · field(request id))', async () => {
    const core = await loadCore()
    const expected = core.sha256(concat(field('demo'), field('séssion'), field('r.T')))
    assert.deepEqual(core.replayKey('demo', 'séssion', 'r.T'), expected)
  })
}
