// SPDX-License-Identifier: MIT
// The C++ library as its users meet it: installed, found by find_package, linked into the examples.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { loadCore } from 'countersign/core'
import { createDeviceKey, signEvent } from 'countersign/stats-event'
import { HUNG_MS } from '../unit/harness/wait.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'countersign-native-'))
const program = join(folder, 'consumer', 'verify_frame')

const cmake = (...args) => promisify(execFile)('cmake', args, { cwd: root, timeout: HUNG_MS, maxBuffer: 1 << 26 })

before(async () => {
  await cmake('-S', '.', '-B', `${folder}/library`, '-G', 'Ninja', '-DCOUNTERSIGN_BUILD_TESTS=OFF')
  await cmake('--build', `${folder}/library`)
  await cmake('--install', `${folder}/library`, '--prefix', `${folder}/prefix`)
  const examples = `-DEXAMPLES=${root}/examples`
  const prefix = `-DCMAKE_PREFIX_PATH=${folder}/prefix`
  await cmake('-S', 'tests/consumers/native', '-B', `${folder}/consumer`, '-G', 'Ninja', prefix, examples)
  await cmake('--build', `${folder}/consumer`)
})

after(() => rmSync(folder, { recursive: true, force: true }))

const { publicKey, privateKey } = generateKeyPairSync('ed25519')
const rawKey = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
const requestId = 'AAAAAAAAAAAAAAAAAAAAAA.BBBBBBBBBBBBBBBBBBBBBB'

const answerFrame = async (text) => {
  const core = await loadCore()
  const payload = new TextEncoder().encode(text)
  const payloadHash = core.sha256(payload)
  const fields = { label: 'demo', requestId, timestampMs: 1_700_000_000_000, resultCode: 'ok', payloadHash }
  const signingInput = core.responseSigningInput(fields)
  return core.buildFrame({ signingInput, keyId: 'k', signature: sign(null, signingInput, privateKey), payload })
}

const verify = (frame, id = requestId) =>
  spawnSync(program, ['demo', id], { input: Buffer.concat([rawKey, frame]), encoding: 'utf8' })

test('the example prints the payload of a verified answer', async () => {
  const { status, stdout } = verify(await answerFrame('hello'))
  assert.deepEqual([status, stdout], [0, 'hello'])
})

test('the example refuses an answer with a changed payload, and one to another request', async () => {
  const frame = await answerFrame('hello')
  const changed = frame.slice()
  changed[changed.length - 1] ^= 1
  const [first, second] = [verify(changed), verify(frame, 'CCCCCCCCCCCCCCCCCCCCCC.BBBBBBBBBBBBBBBBBBBBBB')]
  assert.deepEqual([first.status, first.stdout, second.status, second.stdout], [1, '', 1, ''])
  assert.match(first.stderr, /payload/)
  assert.match(second.stderr, /another request/)
})

test('the example of countersign-json verifies the events that the package signs, and refuses changed ones', async () => {
  const { key, text } = await createDeviceKey()
  const keyFile = join(folder, 'device.key')
  writeFileSync(keyFile, `${text}\n`)
  const judge = (mode, event) =>
    spawnSync(join(folder, 'consumer', 'verify_stats_event'), [keyFile, mode], { input: event, encoding: 'utf8' })
  for (const mode of ['compatible', 'covered', 'strict']) {
    const data = { id: 'a', hours: 1.5, list: [1e21, -0, 'é\u2028'] }
    const event = JSON.stringify(await signEvent(key, { type: 'session', data }, { mode }))
    const good = judge(mode, event)
    assert.deepEqual([good.status, good.stdout], [0, 'ok\n'], mode)
    const hours = judge(mode, event.replace('"hours":1.5', '"hours":9.5'))
    const expected = mode === 'compatible' ? 'ok' : 'signature_mismatch'
    assert.equal(hours.stdout, `${expected}\n`, mode)
    const twice = judge(mode, event.replace('{"type":"session"', '{"type":"session","type":"session"'))
    assert.deepEqual([twice.status, twice.stdout], [1, 'malformed\n'])
  }
})
