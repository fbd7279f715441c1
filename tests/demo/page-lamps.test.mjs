// SPDX-License-Identifier: MIT
// A lamp shows what was reported and nothing else: change a verdict on its way, and the lamp changes.
import assert from 'node:assert/strict'
import { createServer, request } from 'node:http'
import { test } from 'node:test'
import { startGateway } from './harness.mjs'
import { CALM, CLIENT, dark, engineOptions, GATEWAY, ladder, openBrowser, visit } from './page-driver.mjs'

/** startProxy passes everything to the gateway unmarked, but answers for some paths through `change(bytes) → bytes`. */
const startProxy = async (t, gateway, changes) => {
  const server = createServer((req, res) => {
    const { method, url: path, headers } = req
    const passed = request({ host: '127.0.0.1', port: gateway.port, method, path, headers }, async (response) => {
      const chunks = []
      for await (const chunk of response) chunks.push(chunk)
      const [pathname] = path.split('?')
      const body = changes[pathname]?.(Buffer.concat(chunks)) ?? Buffer.concat(chunks)
      res.writeHead(response.statusCode, { ...response.headers, 'content-length': body.length }).end(body)
    })
    req.pipe(passed)
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return `http://127.0.0.1:${server.address().port}`
}

const arrive = async (t, changes) => {
  const gateway = await startGateway(t)
  const url = await startProxy(t, gateway, changes)
  const view = await visit(await openBrowser(t, 'chromium'), `${url}/${CALM}`)
  await view.signIn()
  return view
}

test(
  "the gateway's ladder renders the trace: a changed verdict is a changed lamp",
  engineOptions('chromium'),
  async (t) => {
    let change = (stages) => stages
    const edit = (bytes) => {
      const { request_id, stages } = JSON.parse(bytes)
      return Buffer.from(JSON.stringify({ request_id, stages: change(stages) }))
    }
    const view = await arrive(t, { '/dev/trace': edit })
    await view.press('#send-button')
    assert.deepEqual((await view.lamps()).gateway, ladder(GATEWAY))

    change = (stages) =>
      stages.map((stage) => (stage.stage === 'rate' ? { ...stage, verdict: 'fail', code: 'cs.test' } : stage))
    await view.press('#send-button')
    assert.deepEqual((await view.lamps()).gateway, { ...ladder(GATEWAY), rate: 'fail' })
    assert.match(await view.text('[data-lamp="gateway:rate"]'), /cs\.test/)
    assert.match(await view.text('#verdict'), /^Stopped by rate gateway · cs\.test · ready$/)

    change = (stages) => stages.filter(({ stage }) => stage !== 'freshness')
    await view.press('#send-button')
    assert.deepEqual((await view.lamps()).gateway, { ...ladder(GATEWAY), freshness: 'off' })

    change = (stages) => [...stages, { ...stages[0], stage: 'sequence', verdict: 'pass' }]
    await view.press('#send-button')
    assert.equal((await view.lamps()).gateway.sequence, 'pass')

    change = () => []
    await view.press('[data-attack="flip-payload"]')
    assert.deepEqual((await view.lamps()).gateway, { ...dark(GATEWAY), sequence: 'off' })
  }
)

test(
  "the browser's ladder renders the client's stages: a broken answer is a red lamp",
  engineOptions('chromium'),
  async (t) => {
    let isBroken = false
    const edit = (bytes) => {
      if (!isBroken) return bytes
      const copy = Buffer.from(bytes)
      // The last byte of an answer to an empty request is the last of its signature.
      copy[copy.length - 1] ^= 1
      return copy
    }
    const view = await arrive(t, { '/exchange': edit })
    await view.page.evaluate(() => {
      document.getElementById('payload').value = ''
    })
    await view.press('#send-button')
    assert.deepEqual((await view.lamps()).client, ladder(CLIENT))
    isBroken = true
    await view.press('#send-button')
    assert.deepEqual(await view.lamps(), { gateway: ladder(GATEWAY), client: ladder(CLIENT, 'signature') })
    assert.equal(await view.text('#chip-text'), 'ready')
  }
)

test(
  'without /dev/trace the lamps of the gateway stay dark and the page says why',
  engineOptions('chromium'),
  async (t) => {
    const view = await arrive(t, { '/dev/trace': () => Buffer.from('{}') })
    await view.press('#send-button')
    const { gateway, client } = await view.lamps()
    assert.deepEqual(gateway, dark(GATEWAY))
    assert.deepEqual(client, ladder(CLIENT))
    assert.match(await view.text('#gateway-hint'), /loopback/)
  }
)
