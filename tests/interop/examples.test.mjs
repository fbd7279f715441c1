// SPDX-License-Identifier: MIT
// The code of the documents runs: the tour's client and server against each other, and every example of an error page that
// is marked `run` fails with just that page's code.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as countersign from 'countersign'
import { loadCore } from 'countersign/core'
import { codeOf, runCode } from './shown-code.mjs'
import { openStage } from './stage.mjs'

const pages = await readdir(fileURLToPath(new URL('../../docs/errors/', import.meta.url)))

describe('the examples of the error pages', () => {
  let stage
  let client
  before(async () => {
    stage = await openStage()
    client = await stage.enrolled({})
  })
  after(() => stage.close())

  // The answer to a signed request as the frame that came, for examples that open it themselves.
  const answeredFrame = async (type, payload) => {
    const { frame, requestId } = await client.sign(type, payload)
    const response = await fetch(`${stage.url}/exchange`, {
      method: 'POST',
      headers: { 'content-type': 'application/vnd.countersign.v1' },
      body: frame
    })
    return { requestId, frame: new Uint8Array(await response.arrayBuffer()) }
  }

  // An event of the gateway's key, for examples that open it themselves.
  const signedEvent = async ({ stream = 's', ...changes }) => {
    const fields = { label: stage.label, deviceSessionId: 'us', eventType: 'fleet.moved', sequence: 7, ...changes }
    const eventId = stage.core.eventId(stream, fields.sequence, fields.eventType)
    const payloadHash = stage.core.sha256(new Uint8Array())
    const signingInput = stage.core.eventSigningInput({ ...fields, timestampMs: Date.now(), eventId, payloadHash })
    const { keyId } = stage.signer
    return stage.core.buildFrame({ signingInput, keyId, signature: await stage.signer.sign(signingInput) })
  }

  for (const page of pages.filter((name) => name.startsWith('ERR_'))) {
    const blocks = codeOf(`docs/errors/${page}`, 'js run')
    if (blocks.length === 0) continue
    const code = page.slice(0, -3)
    test(`${code} is what its example ends with`, async () => {
      const { url, label, serverKeys, core, connectWith, enrolled } = stage
      const enrolledWith = (options) => enrolled(options, `${code.toLowerCase()}@example.com`)
      const names = {
        url,
        label,
        serverKeys,
        core,
        client,
        connectWith,
        enrolledWith,
        answeredFrame,
        signedEvent,
        loadCore,
        ...countersign
      }
      for (const block of blocks) await assert.rejects(runCode(block, names), { code })
    })
  }
})

describe('the code of docs/guide/tour.md', () => {
  test('its client enrols at its server, sends, and reads a signed answer', async () => {
    const [clientCode, ...others] = codeOf('docs/guide/tour.md', 'js')
    const serverCode = others.find((code) => code.includes('createGateway'))
    const folder = await mkdtemp(join(tmpdir(), 'countersign-readme-'))
    const mails = []
    const carts = []
    let server
    const load = async (name) => {
      const module = await import(name)
      if (name !== 'countersign/server') return module
      // Port 8080 may be taken: any free one will do, and this test has to close what it opened.
      const nodeServer = (...given) => {
        server = module.nodeServer(...given)
        return { listen: () => server.listen(0, '127.0.0.1') }
      }
      return { ...module, nodeServer }
    }
    const serverNames = {
      addToCart: async (userId, { sku }, idempotencyKey) => {
        carts.push({ userId, sku, idempotencyKey })
        return { skus: [sku] }
      },
      ordersOf: async (userId) => [{ userId, total: 1 }],
      sendCode: (mail) => void mails.push(mail)
    }
    const { gateway, shared } = await runCode(
      serverCode.replaceAll(/'(server\.key|shop\.lmdb)'/g, `'${folder}/$1'`),
      serverNames,
      {
        load,
        results: ['gateway', 'shared']
      }
    )
    try {
      await once(server, 'listening')
      const { publicKey, keyId } = shared.signer
      const code = clientCode
        .replace('https://api.example.com', `http://127.0.0.1:${server.address().port}`)
        .replace(
          /id: '[^']+', publicKey: '[^']+'/,
          `id: '${keyId}', publicKey: '${Buffer.from(publicKey).toString('base64')}'`
        )
        .replace("label: 'shop',", "label: 'shop', store: memoryStore(),")
      const email = 'ada@example.com'
      const shown = []
      const page = { email, prompt: () => mails.at(-1).code, showCart: (cart) => shown.push(cart) }
      const names = { ...page, memoryStore: countersign.memoryStore }
      const { client, reply, orders } = await runCode(code, names, { results: ['client', 'reply', 'orders'] })
      assert.equal(client.state, 'ready')
      assert.equal(reply.resultCode, 'ok')
      assert.deepEqual(shown, [{ skus: [4711] }])
      assert.deepEqual(carts, [{ userId: orders[0].userId, sku: 4711, idempotencyKey: 'cart-1' }])
      await client.close()
    } finally {
      await gateway.close()
      server.closeAllConnections()
      server.close()
      await shared.close()
      await rm(folder, { recursive: true, force: true })
    }
  })

  test('the blocks have about ten lines each', () => {
    for (const code of codeOf('docs/guide/tour.md', 'js'))
      assert.ok(code.trim().split('\n').filter(Boolean).length <= 12)
  })
})
