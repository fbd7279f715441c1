// SPDX-License-Identifier: MIT
// The rows of the benchmark. `lacks` says what a row leaves out that ours does: such a row is not equivalent.

import { webcrypto } from 'node:crypto'
import { loadCore } from 'countersign/core'
import * as dpop from 'dpop'
import * as jose from 'jose'
import { Randomness } from '../dist/client/random.js'

// The client makes its ids with it; the package does not export it.

const { subtle } = webcrypto
const PAYLOAD_BYTES = 1024
const label = 'bench'
const session = 'AAAAAAAAAAAAAAAAAAAAAA'
const url = 'https://api.example.com/exchange'

const random = new Randomness((bytes) => webcrypto.getRandomValues(bytes))
const randomId = () => random.id()
const rawPublicKey = async (key) => new Uint8Array(await subtle.exportKey('raw', key))

/** Resolves to the groups, each with its floor first. */
export async function groups() {
  const core = await loadCore()
  const device = await subtle.generateKey('Ed25519', false, ['sign', 'verify'])
  const server = await subtle.generateKey('Ed25519', false, ['sign', 'verify'])
  const payload = webcrypto.getRandomValues(new Uint8Array(PAYLOAD_BYTES))
  return [await requestGroup({ core, device, payload }), await responseGroup({ core, server, payload })]
}

async function requestGroup({ core, device, payload }) {
  const begin = () =>
    core.beginRequest({
      label,
      deviceSessionId: session,
      messageType: 'fleet.move',
      timestampMs: Date.now(),
      requestId: randomId(),
      payloadHash: core.digest(payload)
    })
  const finish = (signingInput, signature) => core.buildFrame({ signingInput, keyId: '', signature, payload })

  const sample = begin().signingInput
  const signature = new Uint8Array(await subtle.sign('Ed25519', device.privateKey, sample))
  const header = { alg: 'Ed25519', typ: 'request', kid: session }
  return {
    name: 'a signed request',
    rows: [
      {
        id: 'signature',
        name: 'the key alone: WebCrypto Ed25519 over the signing input',
        lacks: 'no message, only the floor',
        run: () => subtle.sign('Ed25519', device.privateKey, sample)
      },
      {
        id: 'request',
        name: 'countersign: hash, id, time, bind, sign, frame',
        run: async () => {
          const { signingInput } = begin()
          return finish(signingInput, new Uint8Array(await subtle.sign('Ed25519', device.privateKey, signingInput)))
        }
      },
      {
        id: 'share',
        name: "countersign: the same without the key's signature",
        lacks: 'our own share',
        sync: true,
        run: () => finish(begin().signingInput, signature)
      },
      {
        id: 'jose-request',
        name: 'jose: compact JWS over the payload, id and time in its header',
        lacks: 'no bound id',
        run: () =>
          new jose.CompactSign(payload)
            .setProtectedHeader({ ...header, jti: randomId(), iat: Date.now() })
            .sign(device.privateKey)
      },
      {
        id: 'dpop-request',
        name: 'dpop: proof for method and URL',
        lacks: 'the payload is not signed',
        run: () => dpop.generateProof({ publicKey: device.publicKey, privateKey: device.privateKey }, url, 'POST')
      }
    ]
  }
}

async function responseGroup({ core, server, payload }) {
  const publicKey = await rawPublicKey(server.publicKey)
  const requestId = core.beginRequest({
    label,
    deviceSessionId: session,
    messageType: 'fleet.move',
    timestampMs: Date.now(),
    requestId: randomId(),
    payloadHash: core.sha256(payload)
  }).requestId
  const signingInput = core.responseSigningInput({
    label,
    requestId,
    timestampMs: Date.now(),
    resultCode: 'ok',
    payloadHash: core.sha256(payload)
  })
  const signature = new Uint8Array(await subtle.sign('Ed25519', server.privateKey, signingInput))
  const frame = core.buildFrame({ signingInput, keyId: 'k1', signature, payload })
  const options = { label, keys: [{ id: 'k1', publicKey }], requestId }

  const jws = await new jose.CompactSign(payload)
    .setProtectedHeader({ alg: 'Ed25519', kid: 'k1', rid: requestId })
    .sign(server.privateKey)
  return {
    name: 'a verified response',
    rows: [
      {
        id: 'response-webcrypto',
        name: 'WebCrypto: verify the signing input, hash the payload',
        lacks: 'nothing parsed or compared, only the floor',
        run: async () => {
          if (!(await subtle.verify('Ed25519', server.publicKey, signature, signingInput))) throw new Error('verify')
          await subtle.digest('SHA-256', payload)
        }
      },
      {
        id: 'response',
        name: 'countersign: parse, signature, request id, payload hash',
        sync: true,
        run: () => core.openResponse(frame, options)
      },
      {
        id: 'jose-response',
        name: 'jose: verify a compact JWS, compare the id in its header',
        run: async () => {
          const { protectedHeader } = await jose.compactVerify(jws, server.publicKey)
          if (protectedHeader.rid !== requestId) throw new Error('id')
        }
      }
    ]
  }
}
