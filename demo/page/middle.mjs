// SPDX-License-Identifier: MIT
// The man in the middle: a fetch for `connect({ fetch })` that sees, and may change, the real bytes of both directions.

const bytesOf = async (message) => new Uint8Array(await message.arrayBuffer())

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

  const viaAttack = async ({ attack, tap }, url, init, frame, fields) => {
    Object.assign(tap, { frame, requestId: fields.requestId })
    const forward = async (bytes) => {
      const response = await fetch(url, { ...init, body: bytes })
      const answer = {
        status: response.status,
        type: response.headers.get('content-type') ?? '',
        bytes: await bytesOf(response)
      }
      tap.passes.push({ frame: bytes, requestId: fieldsIn(core, bytes)?.requestId, answer })
      return answer
    }
    const delivered = await attack.through({ core, frame, fields, forward })
    tap.delivered = delivered
    return new Response(delivered.bytes, { status: delivered.status, headers: { 'content-type': delivered.type } })
  }

  return {
    fetch: async (input, init) => {
      if (!armed) return fetch(input, init)
      const request = new Request(input, init)
      const { method, headers, credentials, cache, redirect, referrerPolicy, signal } = request
      const frame = await bytesOf(request.clone())
      const fields = fieldsIn(core, frame)
      if (fields?.messageType !== type) return fetch(request)
      const rest = { method, headers, credentials, cache, redirect, referrerPolicy, signal }
      return viaAttack(armed, request.url, rest, frame, fields)
    },
    arm(attack) {
      const tap = { frame: undefined, requestId: undefined, passes: [], delivered: undefined }
      armed = { attack, tap }
      return tap
    },
    disarm() {
      armed = undefined
    }
  }
}
