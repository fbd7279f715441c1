// SPDX-License-Identifier: MIT
// `countersign init`: a whole project or nothing. tests/consumers/starter.mjs installs one and uses its page.
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { serverKeyFile } from 'countersign/server'
import { run } from './kit.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const FILES = ['.gitignore', 'gateway.js', 'index.html', 'main.ts', 'package.json', 'server.key', 'tsconfig.json']

const folderOf = (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-init-'))
  t.after(() => {
    chmodSync(folder, 0o700)
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

test('init writes a project with a key of its own, whose line is in the page, and pins the majors', async (t) => {
  const folder = join(folderOf(t), 'My Notes!')
  const { status, stdout, stderr } = await run(['init', folder])
  assert.deepEqual([status, stderr], [0, ''])
  assert.match(stdout, /npm install\n {2}npm run gateway .*\n {2}npm run dev /)
  assert.deepEqual(readdirSync(folder).sort(), FILES)
  const { name, dependencies, devDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  assert.deepEqual([name, dependencies.countersign], ['my-notes-', `^${version}`])
  for (const range of Object.values({ ...dependencies, ...devDependencies })) assert.match(range, /^\^\d+\.\d+\.\d+$/)
  const { keyId, publicKey } = await serverKeyFile(join(folder, 'server.key'))
  const line = `serverKeys: [{ id: '${keyId}', publicKey: '${Buffer.from(publicKey).toString('base64')}' }]`
  assert.ok(readFileSync(join(folder, 'main.ts'), 'utf8').includes(line))
  assert.equal(statSync(join(folder, 'server.key')).mode & 0o777, 0o600)
  assert.match(readFileSync(join(folder, '.gitignore'), 'utf8'), /^server\.key$/m)
})

test('an empty folder is filled, and two projects have two keys', async (t) => {
  const folder = folderOf(t)
  for (const name of ['one', 'two']) {
    mkdirSync(join(folder, name))
    assert.equal((await run(['init', join(folder, name)])).status, 0)
  }
  const [one, two] = ['one', 'two'].map((name) => readFileSync(join(folder, name, 'server.key'), 'utf8'))
  assert.notEqual(one, two)
})

test('a folder with anything in it, a file and a missing parent are refused, and nothing is written', async (t) => {
  const folder = folderOf(t)
  mkdirSync(join(folder, 'full'))
  writeFileSync(join(folder, 'full/.hidden'), '')
  writeFileSync(join(folder, 'file'), '')
  for (const [args, said] of [
    [['full'], /full is not empty/],
    [['file'], /cannot use .*file \(ENOTDIR\)/],
    [['no/such/parent'], /cannot write .*parent \(ENOENT\)/],
    [[], /needs one DIR/],
    [['a', 'b'], /needs one DIR/]
  ]) {
    const { status, stdout, stderr } = await run(['init', ...args.map((name) => join(folder, name))])
    assert.deepEqual([status, stdout, stderr.split('\n').length], [2, '', 2], stderr)
    assert.match(stderr, said)
  }
  assert.deepEqual(readdirSync(folder, { recursive: true }).sort(), ['file', 'full', 'full/.hidden'])
})
