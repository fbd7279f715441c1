// SPDX-License-Identifier: MIT
// The core in workers of every kind a page has (the core needs no file, no fetch and no import()).

import { loadCore } from 'countersign/core'

export const suite = (test, assert, env) => {
  if (env.runtime === 'node') {
    test('the core runs in a worker thread', async () => {
      const { Worker } = await import(`node:${'worker_threads'}`)
      const source = `import { parentPort } from 'node:worker_threads'
import { loadCore } from '${import.meta.resolve('countersign/core')}'
parentPort.postMessage((await loadCore()).sha256(new Uint8Array(5)))`
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`))
      const hash = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      assert.deepEqual(new Uint8Array(hash), (await loadCore()).sha256(new Uint8Array(5)))
      await worker.terminate()
    })
    return
  }

  // The page's policy takes script addresses from this one policy of the tests; the package itself needs none.
  const policy = globalThis.trustedTypes?.createPolicy('tests', { createScriptURL: (address) => address })
  const scriptUrl = (address) => (policy ? policy.createScriptURL(address) : address)

  const ask = async (worker) => {
    const { port1, port2 } = new MessageChannel()
    const answered = new Promise((resolve) => {
      port1.onmessage = ({ data }) => resolve(data)
    })
    worker.postMessage({ bytes: new Uint8Array(5) }, [port2])
    const { hash, error } = await answered
    assert.equal(error, undefined)
    assert.deepEqual(hash, (await loadCore()).sha256(new Uint8Array(5)))
  }

  test('the core runs in a dedicated worker', async () => {
    const worker = new Worker(scriptUrl(env.workerUrl), { type: 'module' })
    await ask(worker)
    worker.terminate()
  })

  test('the core runs in a service worker', async () => {
    const registration = await navigator.serviceWorker.register(scriptUrl(env.serviceWorkerUrl), {
      scope: new URL('nowhere/', env.workerUrl).pathname
    })
    const worker = registration.installing ?? registration.waiting ?? registration.active
    try {
      if (worker.state !== 'activated') {
        await new Promise((resolve) => {
          worker.onstatechange = () => worker.state === 'activated' && resolve()
        })
      }
      await ask(worker)
    } finally {
      await registration.unregister()
    }
  })
}
