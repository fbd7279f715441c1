// SPDX-License-Identifier: MIT
// The man in the middle: a fetch for `connect({ fetch })` that sees, and may change, the real bytes of both directions.

const FRAME_TYPE = 'application/vnd.countersign.v1'

const fieldsIn = (core, frame) => {
  try {
    return core.parseSigningInput(core.parseFrame(frame).signingInput)
  } catch {
    return undefined
  }
}

const exchangeUrl = () => new URL('/exchange', location.href).href

const frameInit = (frame, signal) => ({
  method: 'POST',
  headers: { 'content-type': FRAME_TYPE },
  body: frame,
  credentials: 'omit',
  cache: 'no-store',
  redirect: 'error',
  ...(signal ? { signal } : {})
})

/**
 * createMiddle returns `{ fetch, post, resend, arm, disarm, watch }` over `line`, the real fetch. While armed with an attack, the next requests of `type` go through
 * it; what passed is kept in the tap that `arm` returns: the frame as the client sent it, each frame that went on with the
 * gateway's answer to it, and what was delivered in the end.
 */
export const createMiddle = ({ core, type, line }) => {
  const watchers = new Set()
  let armed

  const report = (frame, fields, bytes) => {
    const answer = fieldsIn(core, bytes)
    const keyId = answer && core.parseFrame(bytes).keyId
    for (const watcher of watchers) watcher({ frame, fields, resultCode: answer?.resultCode, keyId })
  }
  const pass = async (url, init, fields) => {
    const response = await line(url, init)
    // A copy, read aside: whoever waits for the answer does not wait for this.
    if (fields && response.headers.get('content-type') === FRAME_TYPE) {
      const copy = response.clone()
      const read = async () => report(init.body, fields, new Uint8Array(await copy.arrayBuffer()))
      read().catch(() => {})
    }
    return response
  }
  const viaAttack = async ({ attack, tap }, url, init, fields) => {
    Object.assign(tap, { frame: init.body, requestId: fields.requestId })
    const forward = async (frame) => {
      const forwarded = fieldsIn(core, frame)
      const response = await pass(url, { ...init, body: frame }, forwarded)
      const type = response.headers.get('content-type') ?? ''
      const answer = { status: response.status, type, bytes: new Uint8Array(await response.arrayBuffer()) }
      tap.passes.push({ frame, requestId: forwarded?.requestId, answer })
      return answer
    }
    const delivered = await attack.through({ core, frame: init.body, fields, forward })
    tap.delivered = delivered
    return new Response(delivered.bytes, { status: delivered.status, headers: { 'content-type': delivered.type } })
  }

  const via = async (url, init) => {
    const fields = init.body instanceof Uint8Array ? fieldsIn(core, init.body) : undefined
    return armed && fields?.messageType === type ? viaAttack(armed, url, init, fields) : pass(url, init, fields)
  }

  return {
    fetch: via,
    arm(attack) {
      const tap = { frame: undefined, requestId: undefined, passes: [], delivered: undefined }
      armed = { attack, tap }
      return tap
    },
    /** disarm ends the attack of a tap; one that a later attack has replaced is over already. */
    disarm(tap) {
      if (armed?.tap === tap) armed = undefined
    },
    /** post sends a frame of the page's own, through an attack where one is armed. */
    post: (frame, signal) => via(exchangeUrl(), frameInit(frame, signal)),
    /** resend sends a frame once more, as it was, past any attack, and resolves to the answer's result code. */
    async resend(frame) {
      const response = await pass(exchangeUrl(), frameInit(frame), fieldsIn(core, frame))
      return fieldsIn(core, new Uint8Array(await response.arrayBuffer()))?.resultCode
    },
    /** watch calls back for every request frame that was answered by a frame, as `{ frame, fields, resultCode, keyId }`. */
    watch(watcher) {
      watchers.add(watcher)
    }
  }
}
