// SPDX-License-Identifier: MIT
// Keys that rotate: the device's, and the server's.
import { byId } from './dom.mjs'
import { writePlace } from './permalink.mjs'
import { createDeviceRotation } from './rotate-device.mjs'
import { createServerRotation } from './rotate-server.mjs'
import { complain } from './screen.mjs'

/** createRotation returns `{ visit, setReady, rotateDevice }`; `onRotated` runs when this device has a new key. */
export const createRotation = (session, { onRotated }) => {
  const device = createDeviceRotation(session, { onRotated })
  const server = createServerRotation(session)
  let isReady = false
  let isBusy = false

  const setEnabled = () => {
    byId('device-rotate').disabled = !isReady || isBusy
    server.setReady(isReady && !isBusy)
  }
  const press =
    (work, ...place) =>
    async () => {
      writePlace('rotation', ...place)
      complain()
      isBusy = true
      setEnabled()
      try {
        return await work()
      } finally {
        isBusy = false
        setEnabled()
      }
    }
  const rotateDevice = press(device.rotate, 'device')
  const stepServer = press(server.step, 'server')
  const show = async () => {
    device.show()
    await server.show()
  }
  byId('device-rotate').addEventListener('click', () => rotateDevice().catch(complain))
  byId('server-step').addEventListener('click', () => stepServer().catch(complain))
  setInterval(() => {
    if (!isReady) return
    device.tick()
    server.tick()
  }, 200)
  return {
    rotateDevice: device.rotate,
    setReady(nextReady) {
      const isNew = nextReady && !isReady
      isReady = nextReady
      setEnabled()
      if (isNew) show().catch(() => {})
    },
    /** visit rotates the device's key for #rotation/device. */
    visit: ([what]) => (what === 'device' ? rotateDevice() : undefined)
  }
}
