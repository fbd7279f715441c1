// SPDX-License-Identifier: MIT
// What each tab says about its own client to the others: its name, its state, its part in the stream. Nobody speaks for anybody.

const EVERY_MS = 1000
// A tab in the background may be heard once a minute only.
const GONE_MS = 70_000

/**
 * createMember joins the tabs of one label and returns `{ id, all, others, tell, leave }`; `onChange` runs when anything
 * about any of them changed, `onClose` when another tab asks this one to close.
 */
export const createMember = ({ client, stream, description, name, onChange, onClose }) => {
  const id = crypto.randomUUID()
  const joinedMs = Date.now()
  const channel = new BroadcastChannel(`countersign-demo:${description.label}`)
  const others = new Map()
  let sequence
  let revokingMs
  let fellMs
  let isGone = false

  const self = () => {
    const { role, state: connection } = client.connection
    return { id, name, joinedMs, state: client.state, role, connection, sequence, fellMs }
  }
  const tell = (message) => {
    if (!isGone) channel.postMessage(message)
  }
  const say = () => {
    tell({ about: 'self', member: self() })
    onChange()
  }
  const take = {
    hello: say,
    self: ({ member }) => others.set(member.id, { ...member, heardMs: Date.now() }),
    bye: ({ member }) => others.delete(member.id),
    close: ({ to }) => to === id && onClose(),
    revoking({ atMs }) {
      revokingMs = atMs
      fellMs = undefined
    }
  }
  channel.onmessage = ({ data }) => {
    take[data.about]?.(data)
    onChange()
  }
  const offs = [
    client.on('state', (state) => {
      if (state === 'revoked' && revokingMs !== undefined) fellMs = Date.now() - revokingMs
      if (state === 'ready') fellMs = undefined
      say()
    }),
    client.on('connection', say)
  ]
  stream.watch(({ event }) => {
    if (event) sequence = event.sequence
    say()
  })
  const timer = setInterval(say, EVERY_MS)
  const leave = () => {
    tell({ about: 'bye', member: { id } })
    isGone = true
    clearInterval(timer)
    for (const off of offs) off()
    channel.close()
  }
  addEventListener('pagehide', leave)
  tell({ about: 'hello' })

  return {
    id,
    leave,
    /** all lists every tab, this one included, in the order in which they came. */
    all() {
      for (const [key, { heardMs }] of others) if (Date.now() - heardMs > GONE_MS) others.delete(key)
      return [self(), ...others.values()].sort((one, two) => one.joinedMs - two.joinedMs)
    },
    /** revoking notes when a revocation was asked for, here and in every other tab. */
    revoking() {
      const message = { about: 'revoking', atMs: Date.now() }
      take.revoking(message)
      tell(message)
    },
    askToClose: (to) => tell({ about: 'close', to })
  }
}
