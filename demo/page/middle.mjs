// SPDX-License-Identifier: MIT
// The man in the middle: a fetch for `connect({ fetch })` that sees, and may change, the real bytes of both directions.

const fieldsIn = (core, frame) => {
  try {
    return core.parseSigningInput(core.parseFrame(frame).signingInput)
  } catch {
    return undefined
  }
}

/**
 * createMiddle returns `{ fetch, arm, disarm }`. While armed with an attack, the next requests of `type` go through it; what
 * passed is kept in the tap that `arm` returns: the frame as the client sent it, each frame that went on with the
 * gateway's answer to it, and what was delivered in the end.
 */
export const createMiddle = ({ core, type }) => {
  let armed

  const viaAttack = async ({ attack, tap }, url, init, fields) => {
    Object.assign(tap, { frame: init.body, requestId: fields.requestId })
    const forward = async (frame) => {
      const response = await fetch(url, { ...init, body: frame })
      const type = response.headers.get('content-type') ?? ''
      const answer = { status: response.status, type, bytes: new Uint8Array(await response.arrayBuffer()) }
      tap.passes.push({ frame, requestId: fieldsIn(core, frame)?.requestId, answer })
      return answer
    }
    const delivered = await attack.through({ core, frame: init.body, fields, forward })
    tap.delivered = delivered
    return new Response(delivered.bytes, { status: delivered.status, headers: { 'content-type': delivered.type } })
  }

  return {
    async fetch(url, init) {
      const fields = armed && init.body instanceof Uint8Array ? fieldsIn(core, init.body) : undefined
      return fields?.messageType === type ? viaAttack(armed, url, init, fields) : fetch(url, init)
    },
    arm(attack) {
      const tap = { frame: undefined, requestId: undefined, passes: [], delivered: undefined }
      armed = { attack, tap }
      return tap
    },
    /** disarm ends the attack of a tap; one that a later attack has replaced is over already. */
    disarm(tap) {
      if (armed?.tap === tap) armed = undefined
    }
  }
}
