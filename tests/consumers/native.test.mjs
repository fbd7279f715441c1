// SPDX-License-Identifier: MIT
// The C++ library as its users meet it: installed, found by find_package, linked into the examples.
import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { constants, generateKeyPairSync, publicEncrypt, sign } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
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

const run = (command, ...args) =>
  promisify(execFile)(command, args, { cwd: root, timeout: HUNG_MS, maxBuffer: 1 << 26 })

const cmake = (...args) => run('cmake', ...args)

const ours = ['countersign-knock', 'countersign-json', 'countersign']
let archives

before(async () => {
  await cmake('-S', '.', '-B', `${folder}/library`, '-G', 'Ninja', '-DCOUNTERSIGN_BUILD_TESTS=OFF')
  await cmake('--build', `${folder}/library`)
  await cmake('--install', `${folder}/library`, '--prefix', `${folder}/prefix`)
  // Debian's folder of libraries has the machine's name in it.
  const libraries = readdirSync(`${folder}/prefix/lib`, { recursive: true })
  archives = ours.map((name) => `${folder}/prefix/lib/${libraries.find((path) => path.endsWith(`lib${name}.a`))}`)
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

/** foreignNames gives the names that a program which links a file finds in it, and that are neither ours nor C++'s own. */
const foreignNames = async (file, ...options) => {
  const { stdout } = await run('readelf', '--wide', '--demangle', ...options, file)
  return stdout.split('\n').flatMap((line) => {
    const [, bind, visibility, place, name] = /^ +\d+: \S+ +\S+ \S+ +(\w+) +(\w+) +(\w+) (.+)$/.exec(line) ?? []
    // A template's name has the type of its result in front.
    if (!bind || bind === 'LOCAL' || place === 'UND' || /^([\w:]+ )?countersign::/.test(name)) return []
    // Templates and inline functions of the standard library: each program has one copy of those, whoever brings it.
    if (bind !== 'GLOBAL' && /\bstd::|^DW\.ref\.__gxx_personality_v0$/.test(name)) return []
    return visibility === 'HIDDEN' && name.startsWith('countersign_') ? [] : [name]
  })
}

test('H35 the libraries define names of ours alone, and a shared library made of them exports no other', async () => {
  const [sodium] = (
    await foreignNames((await run('c++', '-print-file-name=libsodium.a')).stdout.trim(), '--syms')
  ).filter((name) => name === 'crypto_verify_32')
  assert.equal(sodium, 'crypto_verify_32', 'a foreign name is seen where there is one')
  for (const archive of archives) assert.deepEqual(await foreignNames(archive, '--syms'), [], archive)
  const shared = `${folder}/libshared.so`
  await run('c++', '-shared', '-o', shared, '-Wl,--whole-archive', ...archives, '-Wl,--no-whole-archive')
  assert.deepEqual(await foreignNames(shared, '--dyn-syms'), [])
})

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
const block = Buffer.alloc(256, 0x55).fill(0, 0, 1).fill(2, 1, 2).fill(0, 223, 224)
const encrypted = publicEncrypt({ key: rsa, padding: constants.RSA_NO_PADDING }, block).toString('hex')

/** beside links a program of libsodium's and BearSSL's users, and gives what it prints by the first word of each line. */
const beside = async (name, ...libraries) => {
  const program = join(folder, name)
  const source = 'tests/consumers/native/beside.cpp'
  await run('c++', '-std=c++20', '-O1', '-I', `${folder}/prefix/include`, '-o', program, source, ...libraries)
  const { status, stdout, stderr } = spawnSync(program, {
    input: rsa.export({ format: 'der', type: 'spki' }),
    encoding: 'utf8'
  })
  assert.equal(status, 0, `${name}: ${stderr}`)
  return Object.fromEntries(
    stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ (.*)/s))
  )
}

test("H35 a program uses the system's libsodium and BearSSL beside the library, in any order", async () => {
  const theirs = ['-lsodium', '-lbearssl']
  const fixed = ['-l:libsodium.a', '-l:libbearssl.a']
  const orders = {
    'ours first': [...archives, ...theirs],
    'theirs first': [...theirs, ...archives],
    'ours first, static': [...archives, ...fixed],
    'theirs first, static': [...fixed, ...archives],
    // Every function of each is in the program: a name that two of them have ends the link.
    'all of both': ['-Wl,--whole-archive', ...archives, ...fixed, '-Wl,--no-whole-archive']
  }
  for (const [name, libraries] of Object.entries(orders)) {
    const expected = { good: '1 1', changed: '0 0', ours: encrypted, theirs: encrypted }
    assert.deepEqual(await beside(name, ...libraries), expected, name)
  }
})

test('H35 no other library of the same names decides what we say', async () => {
  const liar = join(folder, 'libliar.a')
  await run('cc', '-w', '-c', '-o', `${folder}/liar.o`, 'tests/consumers/native/liar.c')
  await run('ar', 'rcs', liar, `${folder}/liar.o`)
  const expected = { good: '1 0', changed: '1 0', ours: encrypted, theirs: block.toString('hex') }
  assert.deepEqual(await beside('liar first', liar, ...archives), expected)
  assert.deepEqual(await beside('liar last', ...archives, liar), expected)
})
