// SPDX-License-Identifier: MIT
// What the man in the middle does. Each attack gets the real frame and `forward`, and returns the answer to deliver.
// None of them says which check will stop it: that is for the gateway and the client to report.

const encoder = new TextEncoder()

const flipAt = (bytes, place) => {
  const copy = new Uint8Array(bytes)
  copy[place] ^= 1
  return copy
}

// A frame ends with its payload; an empty one gets a byte it never had.
const flipPayload = (core, frame) => {
  const { payload } = core.parseFrame(frame)
  if (payload.length === 0) return new Uint8Array([...frame, 0x21])
  return flipAt(frame, frame.length - Math.ceil(payload.length / 2))
}

const withFields = (core, frame, fields) => {
  const { keyId, signature, payload } = core.parseFrame(frame)
  return core.buildFrame({ signingInput: core.requestSigningInput(fields), keyId, signature, payload })
}

const otherType = (fields) => ({ ...fields, messageType: 'demo.fail' })

const ownKey = async () => {
  // WebKit's key generation fails now and then.
  for (let tries = 1; ; tries += 1) {
    try {
      return (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])).privateKey
    } catch (error) {
      if (tries === 4) throw error
    }
  }
}

const forgeAnswer = async (core, fields, answer) => {
  const genuine = core.parseFrame(answer.bytes)
  const { timestampMs } = core.parseSigningInput(genuine.signingInput)
  const payload = encoder.encode('{"move":"I resign"}')
  const { label, requestId } = fields
  const signingInput = core.responseSigningInput({
    label,
    requestId,
    timestampMs,
    resultCode: 'ok',
    payloadHash: core.sha256(payload)
  })
  const signature = new Uint8Array(await crypto.subtle.sign('Ed25519', await ownKey(), signingInput))
  return { ...answer, bytes: core.buildFrame({ signingInput, keyId: genuine.keyId, signature, payload }) }
}

const PORTAL = '<!doctype html><title>Free Wi-Fi</title><h1>Session expired. Please log in.</h1>'

/** honest passes everything on untouched. */
export const honest = { id: 'none', name: 'Send', through: ({ frame, forward }) => forward(frame) }

/** attacks lists the tamper bench in the order of its buttons; `isHeld` ones keep the packet until its window has passed. */
export const attacks = [
  {
    id: 'flip-payload',
    name: 'Flip a payload byte',
    through: ({ core, frame, forward }) => forward(flipPayload(core, frame))
  },
  {
    id: 'change-type',
    name: 'Change the type',
    through: ({ core, frame, fields, forward }) => forward(withFields(core, frame, otherType(fields)))
  },
  {
    id: 'rebind',
    name: 'Change type, re-bind id',
    through: ({ core, frame, fields, forward }) => {
      const changed = { ...otherType(fields), requestId: fields.requestId.split('.')[0] }
      return forward(withFields(core, frame, { ...changed, requestId: core.bindRequestId(changed) }))
    }
  },
  {
    id: 'replay',
    name: 'Replay',
    through: async ({ frame, forward }) => {
      await forward(frame)
      return forward(frame)
    }
  },
  { id: 'wait', name: 'Wait past the window', isHeld: true, through: ({ frame, forward }) => forward(frame) },
  {
    id: 'flip-answer',
    name: 'Flip an answer byte',
    through: async ({ core, frame, forward }) => {
      const answer = await forward(frame)
      return { ...answer, bytes: flipPayload(core, answer.bytes) }
    }
  },
  {
    id: 'forge-key',
    name: 'Forged server key',
    through: async ({ core, frame, fields, forward }) => forgeAnswer(core, fields, await forward(frame))
  },
  {
    id: 'unsigned-401',
    name: 'Unsigned 401 page',
    through: async () => ({ status: 401, type: 'text/html', bytes: encoder.encode(PORTAL) })
  }
]
