// SPDX-License-Identifier: MIT
// The command `countersign`, run as a person runs it: exit codes, one line for mistakes, files that are never written over.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createProof, importSecret } from 'countersign/action-proof'
import { importKnockKey, knockPacket, sealKnock } from 'countersign/knock'
import { createDeviceKey, signEvent } from 'countersign/stats-event'
import { key as knockKey, secret as knockSecret, listen, rsaPair } from '../profiles/knock/kit.mjs'
import { core, createKey, jsonOf, signRequest } from '../server/kit.mjs'
import { randomOf } from '../unit/harness/random.mjs'
import { run } from './kit.mjs'

const inFolder = async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-cli-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = async (name, content) => {
    const path = join(folder, name)
    await writeFile(path, content)
    return path
  }
  return { folder, file }
}

const device = { ...createKey(), id: 's'.repeat(22) }

test('inspect reads a frame from a file, standard input, hex, base64url and a line of an event stream, and escapes what it shows', async (t) => {
  const { file } = await inFolder(t)
  const { frame } = signRequest(device, { type: 'é\u2028', payload: '{"x":"\u001b[31m"}' })
  const ways = [
    [[await file('frame.bin', frame)]],
    [['-'], frame],
    [[Buffer.from(frame).toString('hex')]],
    [[Buffer.from(frame).toString('base64url')]],
    [['-'], `data: ${Buffer.from(frame).toString('base64url')}\n\n`]
  ]
  for (const [args, input] of ways) {
    const { status, stdout, stderr } = await run(['inspect', ...args], input)
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^frame \(not verified\)\n/)
    assert.match(stdout, /messageType\s+\\u00e9\\u2028\n/)
    assert.match(stdout, /payload hash\s+fits\n/)
    assert.match(stdout, /timestampMs\s+\d+ \(20\d\d-/)
    assert.doesNotMatch(stdout, /\u001b/)
  }
})

test('inspect knows signing inputs, JSON messages, events, proofs and knocks; the rest is one line and exit code 2', async (t) => {
  const { file } = await inFolder(t)
  const request = signRequest(device)
  const { key: statsKey } = await createDeviceKey()
  const event = await signEvent(statsKey, { type: 'session', data: { id: 'a', duration_ms: 9000 } })
  const { text } = await createProof(await importSecret('s'.repeat(32)), {
    actionType: 'a',
    actionData: 1,
    expectedPoints: 1
  })
  const fields = { timestamp: 1_700_000_000, userId: 1, actionId: 1, challenge: 1, payload: 'hello' }
  const packet = await knockPacket(fields, knockKey)
  const hybrid = await sealKnock({ ...fields, version: 3 }, knockKey, rsaPair().publicKey)
  const cases = [
    ['signing input', request.signingInput],
    ['json request', JSON.stringify(jsonOf(request))],
    ['stats event', JSON.stringify(event)],
    ['action proof', text],
    ['knock packet', packet],
    ['knock datagram', hybrid]
  ]
  for (const [kind, bytes] of cases) {
    const { status, stdout, stderr } = await run(['inspect', await file(kind, bytes)])
    assert.equal(status, 0, `${kind}: ${stderr}`)
    assert.equal(stdout.startsWith(`${kind} (not verified)\n`), true, stdout)
  }
  for (const bytes of ['', 'hello', '{}', '[1]', randomOf('no frame').bytes(300), '{"a":']) {
    const { status, stdout, stderr } = await run(['inspect', '-'], bytes)
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, /^countersign: the input is not a frame[^\n]*\n$/)
  }
})

test('verify gives exit code 0 for what verifies, 1 with a reason for what does not, 2 where a key is missing', async (t) => {
  const { folder, file } = await inFolder(t)
  const { frame } = signRequest(device)
  const publicKey = Buffer.from(device.publicKey).toString('base64')
  const frameFile = await file('frame', frame)
  const verdict = async (...args) => {
    const { status, stdout, stderr } = await run(['verify', ...args])
    return [status, (stdout || stderr).trim()]
  }
  assert.deepEqual(await verdict(frameFile, '--public-key', publicKey), [0, 'frame: verified'])
  const other = Buffer.from(createKey().publicKey).toString('base64')
  assert.deepEqual(await verdict(frameFile, '--public-key', other), [1, 'frame: REFUSED, signature'])
  const swapped = await file('swapped', Buffer.concat([frame.subarray(0, -1), Buffer.from('!')]))
  assert.deepEqual(await verdict(swapped, '--public-key', publicKey), [1, 'frame: REFUSED, payload_hash'])
  assert.deepEqual(await verdict(frameFile), [2, 'countersign: to verify a frame, pass --public-key'])
  assert.equal((await verdict(frameFile, '--public-key', 'short'))[0], 2)

  const stats = await createDeviceKey()
  const event = await signEvent(stats.key, { type: 'session', data: { id: 'a', hours: 1 } })
  const keyFile = await file('device.key', stats.text)
  const eventFile = await file('event.json', JSON.stringify(event))
  assert.deepEqual(await verdict(eventFile, '--device-key', keyFile), [0, 'stats event: verified'])
  const changed = await file('changed.json', JSON.stringify({ ...event, data: { id: 'a', hours: 2 } }))
  assert.deepEqual(await verdict(changed, '--device-key', keyFile), [1, 'stats event: REFUSED, signature_mismatch'])
  // The last of two members is what a parser keeps; the first is what a person reads.
  const twice = await file('twice.json', JSON.stringify(event).replace('{', '{"data":{"hours":99},'))
  assert.deepEqual(await verdict(twice, '--device-key', keyFile), [1, 'stats event: REFUSED, malformed'])

  const { text } = await createProof(await importSecret('s'.repeat(32)), {
    actionType: 'a',
    actionData: 1,
    expectedPoints: 1,
    timestamp: 1_700_000_000_000
  })
  const secretFile = await file('secret', `${'s'.repeat(32)}\n`)
  const proofFile = await file('proof.json', text)
  assert.deepEqual(await verdict(proofFile, '--secret', secretFile, '--now', '1700000000000'), [
    0,
    'action proof: verified'
  ])
  assert.deepEqual(await verdict(proofFile, '--secret', secretFile), [1, 'action proof: REFUSED, stale'])
  assert.equal((await verdict(proofFile, '--secret', secretFile, '--mode', 'strict'))[0], 2)

  const packet = await knockPacket(
    { timestamp: 1_700_000_000, userId: 1, actionId: 1, challenge: 1 },
    await importKnockKey(knockSecret)
  )
  const packetFile = await file('packet', packet)
  const knockFile = await file('user.hmac', knockSecret)
  assert.deepEqual(await verdict(packetFile, '--knock-key', knockFile, '--now', '1700000000000'), [
    0,
    'knock packet: verified'
  ])
  assert.deepEqual(await verdict(packetFile, '--knock-key', knockFile), [1, 'knock packet: REFUSED, timestamp'])
  assert.equal((await verdict(packetFile, '--knock-key', join(folder, 'none')))[0], 2)
})

test('explain compares what was signed with what arrived, and says what a code means', async (t) => {
  const { file } = await inFolder(t)
  const signed = await file('signed.json', '{"amount":45.0}')
  const received = await file('received.json', '{"amount":45}')
  const differs = await run(['explain', signed, received])
  assert.equal(differs.status, 1)
  assert.match(differs.stdout, /^differs in bytes, byte 12\n/)
  assert.match(differs.stdout, /likely cause: float_spelling: /)
  assert.deepEqual((await run(['explain', signed, signed])).stdout, 'the same\n')
  const left = signRequest(device, { head: 'r'.repeat(22), payload: '{"a":1}' })
  const right = signRequest(device, { head: 'r'.repeat(22), payload: '{"a": 1}' })
  const frames = await run([
    'explain',
    Buffer.from(left.frame).toString('hex'),
    Buffer.from(right.frame).toString('base64url')
  ])
  assert.match(frames.stdout, /^differs in (requestId|payload)/)
  for (const code of ['ERR_STALE', 'cs.stale']) {
    const { status, stdout } = await run(['explain', code])
    assert.equal(status, 0)
    assert.match(stdout, new RegExp(`^${code.replace('.', '\\.')}: .*\\n  check: freshness\\n`))
    assert.ok(stdout.endsWith(await readFile(new URL('../../docs/errors/ERR_STALE.md', import.meta.url), 'utf8')))
  }
  const tag = Buffer.from(core.hmacSha256(Buffer.from('k'.repeat(8)), Buffer.from('message'))).toString('hex')
  const secretFile = await file('secret', `${'k'.repeat(8)}\n`)
  const traced = await run(['explain', '--secret', secretFile, '--tag', tag, 'message'])
  assert.deepEqual(
    [traced.status, traced.stdout],
    [0, 'key_text: the key was read in another way: the tag was made with the text without white space around it\n']
  )
})

test('keygen makes files of mode 0600 that load, and never writes over one', async (t) => {
  const { folder } = await inFolder(t)
  const loads = {
    server: (path) => run(['keygen', 'server', path]).then(({ status }) => status === 2),
    stats: async (path) => /^[0-9a-f]{64}\n$/.test(await readFile(path, 'utf8')),
    knock: async (path) => Boolean(await importKnockKey(await readFile(path))),
    action: async (path) => (await readFile(path)).length === 32
  }
  for (const kind of Object.keys(loads)) {
    const path = join(folder, kind)
    const { status, stdout, stderr } = await run(['keygen', kind, path])
    assert.deepEqual([status, stderr], [0, ''], kind)
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    assert.equal(
      stdout.includes(await readFile(path, 'latin1').then((text) => text.trim())),
      false,
      'the key is not shown'
    )
    const before = await readFile(path)
    const again = await run(['keygen', kind, path])
    assert.equal(again.status, 2)
    assert.match(again.stderr, /exists; keygen never overwrites a key\n$/)
    assert.deepEqual(await readFile(path), before)
    assert.equal(await loads[kind](path), true, kind)
  }
  assert.equal((await run(['keygen', 'stats', join(folder, 'no', 'such')])).status, 2)
})

test('knock sends one, and reads the reply', async (t) => {
  const { file } = await inFolder(t)
  const daemon = await listen(t)
  const [keyFile, serverFile, replyFile] = [
    await file('user.hmac', knockSecret),
    await file('server.pem', rsaPair().publicKey),
    await file('user.pem', rsaPair(2048, 'user').privateKey)
  ]
  const { address, port } = daemon.listener
  const args = [
    'knock',
    '--host',
    address,
    '--port',
    String(port),
    '--user',
    '7',
    '--action',
    '1',
    '--key',
    keyFile,
    '--server-key',
    serverFile
  ]
  const replied = await run([...args, '--payload', 'hello', '--reply-key', replyFile])
  assert.deepEqual([replied.status, replied.stdout], [0, 'status 1: 1: OK\n'], replied.stderr)
  const silent = await run([...args, '--protocol', '3'])
  assert.equal(silent.status, 0)
  await daemon.until(2, 'accepted')
  assert.deepEqual(
    daemon.knocks.map(({ version }) => version),
    [1, 3]
  )
})

test('mistakes are one line and exit code 2, with nothing on standard output', async (t) => {
  const { file } = await inFolder(t)
  const pkcs1 = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'pkcs1', format: 'pem' })
  const key = await file('key', knockSecret)
  const bad = await file('bad.pem', pkcs1)
  const cases = [
    ['nothing'],
    ['__proto__'],
    ['inspect'],
    ['inspect', 'a', 'b'],
    ['inspect', '--what'],
    ['inspect', '@/no/such/file'],
    ['verify'],
    ['explain'],
    ['explain', 'a', 'b', 'c'],
    ['explain', '--secret', key, '--tag', 'xyz', 'm'],
    ['keygen'],
    ['keygen', 'unknown', 'x'],
    ['knock', '--host', 'x'],
    ['knock', '--host', 'localhost', '--port', 'x', '--user', '1', '--action', '1', '--key', key, '--server-key', bad],
    ['knock', '--host', 'localhost', '--port', '9', '--user', '1', '--action', '1', '--key', key, '--server-key', bad]
  ]
  for (const args of cases) {
    const { status, stdout, stderr } = await run(args)
    assert.deepEqual([status, stdout], [2, ''], args.join(' '))
    assert.match(stderr, /^countersign: [^\n]+\n$/, args.join(' '))
  }
  assert.match((await run(['inspect', 'fraem.bin'])).stderr, /, and no file has this name\n$/)
  assert.equal(
    (await run(['inspect', '--what'])).stderr,
    "countersign: Unknown option '--what'; see countersign --help\n"
  )
  for (const args of [['--help'], ['verify', '--help'], ['knock', '-h']]) {
    const { status, stdout } = await run(args)
    assert.equal(status, 0)
    assert.match(stdout, /countersign inspect INPUT/)
  }
})
