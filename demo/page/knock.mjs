// SPDX-License-Identifier: MIT
// A knock: the packet in colours by its fields, then the noise that is sent, then the door.
import { importKnockKey, knockPacket, knockTime, randomChallenge, relayKnock, sealKnock } from 'countersign/knock'
import { byId, el } from './dom.mjs'
import { pause } from './motion.mjs'
import { writePlace } from './permalink.mjs'
import { complain } from './screen.mjs'

const decoder = new TextDecoder()
const OPEN_MS = 4000

/** Where the fields of a version 1 packet lie. */
const FIELDS = [
  ['version', 0, 1],
  ['timestamp', 1, 5],
  ['user_id', 5, 7],
  ['action_id', 7, 8],
  ['challenge', 8, 12],
  ['hmac', 12, 44],
  ['payload_len', 44, 46],
  ['payload', 46, 245]
]

const fieldAt = (at, size) => {
  const [name] = FIELDS.find(([, from, to]) => at >= from && at < to) ?? []
  return name === 'payload' && at >= 46 + size ? 'fill' : name
}

const draw = (bytes, nameOf) =>
  byId('knock-grid').replaceChildren(
    ...Array.from(bytes, (byte, at) => el('i', { dataset: { field: nameOf(at) } }, byte.toString(16).padStart(2, '0')))
  )

const readDoor = async (client) => JSON.parse(decoder.decode((await client.request('demo.door')).payload))

const bytesOfHex = (text) =>
  Uint8Array.from({ length: text.length / 2 }, (_, at) => Number.parseInt(text.slice(2 * at, 2 * at + 2), 16))

/** createKnock returns `{ visit, setReady, knock }`; the door moves when its gateway says so, in a signed event. */
export const createKnock = ({ client, stream }) => {
  const root = byId('scene-knock')
  let doorKeys
  let last
  let closing

  const openDoor = ({ payload }) => {
    clearTimeout(closing)
    root.dataset.door = 'open'
    root.dataset.opened = String(Number(root.dataset.opened ?? 0) + 1)
    byId('knock-said').textContent = `the door opened for ${JSON.parse(decoder.decode(payload)).said}`
    closing = setTimeout(() => {
      root.dataset.door = 'shut'
    }, OPEN_MS)
  }
  const send = async (datagram) => {
    const { reply } = await relayKnock(client, { target: 'door', datagram })
    return reply
  }
  const knock = async () => {
    await stream.live()
    doorKeys ??= await readDoor(client)
    const key = await importKnockKey(bytesOfHex(doorKeys.key))
    const payload = new TextEncoder().encode(byId('knock-payload').value.slice(0, 60))
    const fields = {
      timestamp: knockTime(client),
      userId: doorKeys.user_id,
      actionId: doorKeys.action_id,
      challenge: randomChallenge(),
      payload
    }
    root.dataset.shows = 'packet'
    draw(await knockPacket(fields, key), (at) => fieldAt(at, payload.length))
    byId('knock-size').textContent = '245 bytes, to be read'
    await pause(900)
    const datagram = await sealKnock(fields, key, doorKeys.server_key)
    root.dataset.shows = 'noise'
    draw(datagram, () => 'noise')
    byId('knock-size').textContent = `${datagram.length} bytes of RSA, to be read by the door alone`
    last = datagram
    byId('knock-again').disabled = false
    byId('knock-said').textContent = 'sent; silence so far'
    await send(datagram)
  }
  // The same packet is no news to the door: it says nothing, and does nothing.
  const again = async () => {
    byId('knock-said').textContent = 'the same again: silence'
    await send(last)
  }
  const press =
    (work, ...place) =>
    async () => {
      writePlace('knock', ...place)
      complain()
      await work().catch(complain)
    }

  stream.watch(({ event }) => {
    if (event?.type === 'door.opened') openDoor(event)
  })
  byId('knock-send').addEventListener('click', press(knock, 'open'))
  byId('knock-again').addEventListener('click', press(again))
  byId('knock-legend').append(
    ...[...FIELDS.map(([name]) => name), 'fill'].map((name) => el('li', { dataset: { field: name } }, name))
  )
  return {
    knock,
    setReady(isReady) {
      byId('knock-send').disabled = !isReady
      byId('knock-again').disabled = !isReady || !last
      if (!isReady) {
        doorKeys = undefined
        last = undefined
      }
    },
    visit: ([what]) => (what === 'open' ? knock() : stream.live())
  }
}
