// SPDX-License-Identifier: MIT
// The device's key is replaced: packets that the old one has signed still count for a while, those of the new one from now on.
import { byId } from './dom.mjs'
import { readCode } from './gateway.mjs'
import { bytesOf } from './identicon.mjs'
import { createKeyBars } from './key-bars.mjs'
import { keptAddress } from './visitor-address.mjs'

const TYPE = 'demo.ping'
const HELD = 6
// How long a gateway still takes what the old key signed before it was replaced (PROTOCOL.md, R122).
const OVERLAP_MS = 60_000
const AFTER_MS = 600
const EARLIER_MS = 30

/**
 * confirm returns the code that the gateway has mailed for a new key. On loopback the outbox shows it; elsewhere the
 * reader types it.
 */
const confirm = async ({ challengeId, thumbprint }) => {
  const address = keptAddress()
  const known = address && (await readCode(address, challengeId))
  byId('device-said').textContent =
    `new key ${thumbprint.slice(0, 8)}…: ${known ? `confirmed by ${known}, from the loopback /dev/outbox` : 'compare it with the one in your mail'}`
  if (known) return known
  const [form, code] = ['device-confirm', 'device-code'].map(byId)
  form.hidden = false
  code.focus()
  return new Promise((resolve) => {
    form.onsubmit = (event) => {
      event.preventDefault()
      form.hidden = true
      resolve(code.value.trim())
      code.value = ''
    }
  })
}

/** createDeviceRotation returns `{ rotate, show, tick }`; `onRotated` runs when the client has its new key. */
export const createDeviceRotation = ({ client, middle, description }, { onRotated }) => {
  const lifeMs = Math.min(OVERLAP_MS, description.pastMs)
  const bars = createKeyBars(byId('device-bars'), { spanMs: lifeMs * 2 })
  let held = []
  let present
  let endsMs
  let timer

  const now = () => client.clock.now()
  const begin = () => {
    const { thumbprint, algorithm } = client.key
    if (!bars.has(thumbprint)) bars.begin(thumbprint, { hash: bytesOf(thumbprint), label: algorithm, fromMs: now() })
    present = thumbprint
  }
  const note = (name, resultCode) => {
    bars.dot(name, { atMs: now(), verdict: resultCode === 'ok' ? 'pass' : 'fail', label: resultCode })
    return resultCode
  }
  const codeOf = async (work) => {
    try {
      return (await work()).resultCode
    } catch (error) {
      return error.resultCode ?? error.code
    }
  }
  const sendHeld = async () => {
    const old = held.shift()
    if (!old) return undefined
    byId('device-old').disabled = held.length === 0
    byId('device-held').textContent = String(held.length)
    const resultCode = await codeOf(async () => {
      const response = await middle.post(old.frame)
      return client.open(new Uint8Array(await response.arrayBuffer()), { requestId: old.requestId })
    })
    byId('device-said').textContent = `old packet: ${resultCode}`
    return note(old.key, resultCode)
  }
  const sendNew = async () => note(present, await codeOf(() => client.request(TYPE)))

  // What was signed last is kept for the end of the bar, to be refused.
  const untilEnd = () => {
    clearTimeout(timer)
    timer = setTimeout(
      () => {
        held = held.slice(-1)
        sendHeld()
      },
      endsMs - now() + AFTER_MS
    )
  }
  const hold = async () => {
    held = []
    for (let count = 0; count < HELD; count += 1) held.push({ ...(await client.sign(TYPE)), key: present })
    const signedMs = now()
    // The gateway goes by its own clock: what is to be earlier there has to be so by more than this clock may be off.
    await new Promise((resolve) => setTimeout(resolve, EARLIER_MS + 2 * Math.min(client.clock.errorMs, 500)))
    return signedMs
  }
  byId('device-old').addEventListener('click', sendHeld)
  return {
    show() {
      begin()
    },
    /** rotate resolves to what a packet of the old key and one of the new key came to, sent after the change. */
    async rotate() {
      begin()
      const old = present
      const signedMs = await hold()
      await client.rotateKey({ confirm })
      begin()
      endsMs = signedMs + lifeMs
      bars.end(old, endsMs)
      onRotated()
      untilEnd()
      return { old: await sendHeld(), fresh: await sendNew() }
    },
    tick() {
      const nowMs = now()
      bars.tick(nowMs)
      const leftMs = endsMs === undefined ? undefined : Math.max(0, endsMs - nowMs)
      byId('device-left').textContent = leftMs === undefined ? '–' : `${Math.ceil(leftMs / 1000)} s`
    }
  }
}
