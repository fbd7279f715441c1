// SPDX-License-Identifier: MIT
// A way to a Redis that a test can break: what stands behind it changes, with the connections ended or behind their back, and
// subscriptions fall silent without an end.
import { once } from 'node:events'
import { connect as connectTo, createServer } from 'node:net'

/** startProxy gives `{ url, point, pointHidden, silence }`; it is closed with the test. */
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
    /** Another server from now on; what is open ends. */
    point(other) {
      target = other
      for (const { near } of [...pairs]) near.destroy()
    },
    /** Another server from now on, for open connections too, which must have nothing under way: they do not notice. */
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
    /** Whether subscriptions carry nothing any more, in either direction. */
    silence(value) {
      isSilent = value
    }
  }
}
