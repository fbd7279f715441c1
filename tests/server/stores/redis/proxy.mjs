// SPDX-License-Identifier: MIT
// A proxy to a Redis that a test can break. The server behind it changes, with or without an end of the connections,
// and subscriptions fall silent without an end.
import { once } from 'node:events'
import { connect as connectTo, createServer } from 'node:net'

/** Starts a proxy: `{ url, point, pointHidden, silence }`. It closes with the test. */
export const startProxy = async (t, port) => {
  let target = port
  let isSilent = false
  const pairs = new Set()

  const join = (pair) => {
    const { near, far } = pair
    far.on('data', (bytes) => {
      if (!(pair.isSubscribed && isSilent)) near.write(bytes)
    })
    far.on('error', () => near.destroy()).on('close', () => pair.far === far && near.destroy())
  }
  const server = createServer((near) => {
    const pair = { near, far: connectTo(target, '127.0.0.1'), isSubscribed: false }
    pairs.add(pair)
    near.on('data', (bytes) => {
      pair.isSubscribed ||= bytes.includes('subscribe')
      if (!(pair.isSubscribed && isSilent)) pair.far.write(bytes)
    })
    near.on('error', () => {})
    near.on('close', () => {
      pairs.delete(pair)
      pair.far.destroy()
    })
    join(pair)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    for (const { near } of pairs) near.destroy()
    server.close()
  })

  return {
    url: `redis://127.0.0.1:${server.address().port}`,
    /** Leads to another server from now on. Open connections end. */
    point(other) {
      target = other
      for (const { near } of [...pairs]) near.destroy()
    },
    /** Leads open connections to another server too, unnoticed. They must have no command under way. */
    async pointHidden(other) {
      target = other
      for (const pair of pairs) {
        const old = pair.far
        const far = connectTo(other, '127.0.0.1')
        await once(far, 'connect')
        far.write('HELLO 3\r\n')
        await once(far, 'data')
        pair.far = far
        old.destroy()
        join(pair)
      }
    },
    /** Sets whether subscriptions carry nothing any more, in either direction. */
    silence(value) {
      isSilent = value
    }
  }
}
