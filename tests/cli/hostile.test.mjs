// SPDX-License-Identifier: MIT
// The command on inputs that were made to harm: terminals, stacks, memory, and readers that go away.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { main, run } from './kit.mjs'

test('names and times of a message cannot write on the terminal, and a member of any kind is no surprise', async () => {
  const evil = '\u001b[31m\u009b1A'
  const messages = [
    { type: 1, deviceId: 2, nonce: 3, [evil]: evil },
    { protocolVersion: 1, deviceSessionId: 2, signature: 3, timestampMs: `2020-01-01 (${evil})` },
    { protocolVersion: 1, resultCode: 2, signature: 3, timestampMs: evil },
    { action_proof: { [evil]: { [evil]: [evil] } } }
  ]
  for (const message of messages) {
    const { status, stdout } = await run(['inspect', '-'], JSON.stringify(message))
    assert.equal(status, 0)
    assert.match(stdout, /^[\x20-\x7e\n]+$/)
    assert.match(stdout, /\\u001b\[31m/)
  }
  for (const proof of [null, 7, 'a'.repeat(300_000), [1]]) {
    const { status, stdout, stderr } = await run(['inspect', '-'], JSON.stringify({ action_proof: proof }))
    assert.deepEqual([status, stdout], [2, ''])
    assert.match(stderr, /^countersign: the input is not a frame/)
  }
  const { stderr } = await run([evil])
  assert.match(stderr, /^[\x20-\x7e]+\n$/)
})

test('a reader that goes away is no mistake, and an input without end is one', async () => {
  for (const name of ['/dev/zero', '@/dev/zero']) {
    const { status, stderr } = await run(['inspect', name])
    assert.deepEqual([status, stderr], [2, 'countersign: the input is larger than 64 MiB\n'])
  }
  const child = spawn(process.execPath, [main, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (chunk) => (stderr += chunk))
  await new Promise((resolve) => child.on('close', resolve))
  assert.equal(stderr, '')
})
