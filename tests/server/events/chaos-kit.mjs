// SPDX-License-Identifier: MIT
// Faults between gateway and client, for every carrier: frames are reordered, repeated, dropped, delayed, cut and
// swapped, with the events of an earlier connection and of another session, and bits in them flip.

import { WebSocket } from 'ws'

const SSE = 'text/event-stream'

/** Returns a function of random numbers from 0 to 1. One seed gives the same numbers. */
export const seeded = (seed) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), 1 | state)
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}

const kinds = ['reorder', 'repeat', 'drop', 'delay', 'cut', 'break', 'swap', 'foreign', 'flip']

/** Chooses the fault of each frame. `counts` holds how often each fault was applied. */
export class Faults {
  counts = Object.fromEntries(kinds.map((kind) => [kind, 0]))
  /** Frames of another session. The test fills it. */
  foreign = []
  #random
  #rate
  #kept = []

  constructor(random, rate) {
    this.#random = random
    this.#rate = rate
  }

  get total() {
    return Object.values(this.counts).reduce((sum, count) => sum + count, 0)
  }

  #keep(frame) {
    if (this.#kept.length < 64) this.#kept.push(frame)
    else this.#kept[Math.floor(this.#random() * 64)] = frame
  }

  /** Returns the fault of the next frame, or undefined. */
  next() {
    if (this.#random() >= this.#rate) return undefined
    const kind = kinds[Math.floor(this.#random() * kinds.length)]
    this.counts[kind] += 1
    return kind
  }

  /** Applies a fault to a frame. Resolves to the frames to send, and whether the connection ends after them. */
  async apply(frame, held) {
    const kind = this.next()
    const old = this.#kept[Math.floor(this.#random() * this.#kept.length)] ?? frame
    const before = held.splice(0)
    this.#keep(frame)
    const sent = (...frames) => ({ frames: [...frames, ...before] })
    switch (kind) {
      case 'reorder':
        held.push(frame)
        return { frames: before }
      case 'repeat':
        return sent(frame, frame)
      case 'drop':
        return sent()
      case 'delay':
        await new Promise((resolve) => setTimeout(resolve, this.#random() * 20))
        return sent(frame)
      case 'cut':
      case 'break':
        return { frames: [], end: kind }
      case 'swap':
        return sent(old)
      case 'foreign':
        return sent(this.foreign.at(-1) ?? old)
      case 'flip': {
        const flipped = Uint8Array.from(frame)
        flipped[Math.floor(this.#random() * flipped.length)] ^= 1 << Math.floor(this.#random() * 8)
        return sent(flipped)
      }
      default:
        return sent(frame)
    }
  }
}

/** Yields the items of a body of server-sent events: a frame, or the text of a comment. */
async function* itemsOf(reader) {
  const decoder = new TextDecoder()
  let begun = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    begun += decoder.decode(value, { stream: true })
    for (let end = begun.indexOf('\n\n'); end >= 0; end = begun.indexOf('\n\n')) {
      const item = begun.slice(0, end)
      begun = begun.slice(end + 2)
      yield item.startsWith('data: ') ? Buffer.from(item.slice(6), 'base64url') : item
    }
  }
}

/** Returns a body of server-sent events after the faults. */
const mistreat = (faults, body) => {
  const reader = body.getReader()
  const items = itemsOf(reader)
  const encoder = new TextEncoder()
  const held = []
  const lines = async () => {
    const { done, value } = await items.next()
    if (done) return { end: 'cut', text: '' }
    if (typeof value === 'string') return { text: `${value}\n\n` }
    const { frames, end } = await faults.apply(value, held)
    return { end, text: frames.map((frame) => `data: ${Buffer.from(frame).toString('base64url')}\n\n`).join('') }
  }
  const leave = () => reader.cancel().catch(() => {})
  return new ReadableStream(
    {
      async pull(controller) {
        for (;;) {
          const { end, text } = await lines()
          if (text) controller.enqueue(encoder.encode(text))
          if (end) leave()
          if (end === 'break') return controller.error(new TypeError('the connection broke'))
          if (end === 'cut') return controller.close()
          if (text) return
        }
      },
      cancel: leave
    },
    { highWaterMark: 0 }
  )
}

/** Applies faults to the bodies of answers to `cs.poll`. Each is signed as a whole. */
const chaoticAnswer = async (faults, response, held) => {
  const { frames, end } = await faults.apply(new Uint8Array(await response.arrayBuffer()), held)
  if (end || frames.length === 0) throw new TypeError('the connection broke')
  return new Response(frames[0], { status: response.status, headers: response.headers })
}

/** Returns a fetch through the faults: for streams always, for other answers when `isPoll`. */
export const chaoticFetch = (faults, isPoll) => {
  const held = []
  let streams = 0
  const mistreated = async (url, init) => {
    const response = await fetch(url, init)
    if (response.headers.get('content-type') === SSE) {
      streams += 1
      return new Response(mistreat(faults, response.body), { headers: response.headers })
    }
    return isPoll() ? chaoticAnswer(faults, response, held) : response
  }
  return Object.assign(mistreated, { opened: () => streams })
}

/** Returns a function that makes WebSockets whose frames pass through the faults. */
export const chaoticSocket = (faults) => {
  let opened = 0
  const make = (url, protocol) => {
    opened += 1
    const socket = new WebSocket(url, protocol)
    socket.binaryType = 'arraybuffer'
    const held = []
    const facade = {
      get protocol() {
        return socket.protocol
      },
      send: (frame) => socket.send(frame),
      close: () => socket.close()
    }
    let queue = Promise.resolve()
    const pass = async ({ data }) => {
      const { frames, end } = await faults.apply(new Uint8Array(data), held)
      for (const frame of frames) facade.onmessage?.({ data: Uint8Array.from(frame).buffer })
      if (end) socket.terminate()
    }
    socket.onopen = () => facade.onopen?.()
    socket.onerror = () => facade.onerror?.({})
    socket.onmessage = (message) => {
      queue = queue.then(() => pass(message))
    }
    socket.onclose = ({ code }) => {
      queue = queue.then(() => facade.onclose?.({ code }))
    }
    return facade
  }
  return Object.assign(make, { opened: () => opened })
}
