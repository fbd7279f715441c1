// SPDX-License-Identifier: MIT
// The sizes and the speeds of the WebAssembly that each compiler has made, as tables for docs/decisions.md.
import { generateKeyPairSync, sign } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadCore } from 'countersign/core'
import { brotli } from '../size.mjs'
import { treeOf, versionOf } from './roots.mjs'

const FILES = ['countersign-client', 'countersign', 'countersign-knock', 'countersign-json']
const ROUNDS = 200
const BATCH = 50

const row = (cells) => `| ${cells.join(' | ')} |`
const table = (head, rows) => [row(head), row(head.map(() => '---')), ...rows.map(row), ''].join('\n')
const fileOf = (suite, name) => join(treeOf(suite), 'build/wasm', `${name}.wasm`)

const sizes = (built) =>
  built.map((suite) => [
    versionOf(suite),
    ...FILES.map((name) => {
      const bytes = readFileSync(fileOf(suite, name))
      return `${bytes.length} (${brotli(bytes)})`
    })
  ])

/** operationsOf gives what is timed of a core, by name. */
const operationsOf = (core) => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-32))
  const message = new Uint8Array(200).fill(1)
  const signature = new Uint8Array(sign(null, message, privateKey))
  const block = new Uint8Array(4096).fill(2)
  const fields = {
    label: 'bench',
    deviceSessionId: 'AAAAAAAAAAAAAAAAAAAAAA',
    messageType: 'fleet.move',
    timestampMs: 1_700_000_000_000,
    requestId: 'AAAAAAAAAAAAAAAAAAAAAA',
    payloadHash: new Uint8Array(32)
  }
  return {
    'SHA-256 of 4 KiB': () => core.sha256(block),
    'verify Ed25519': () => {
      if (!core.verifyEd25519(key, message, signature)) throw new Error('a sound signature is refused')
    },
    'begin a request': () => core.beginRequest(fields)
  }
}

const timeOf = (operation) => {
  const started = performance.now()
  for (let count = 0; count < BATCH; count++) operation()
  return ((performance.now() - started) * 1000) / BATCH
}

const medianOf = (times) => times.sort((one, other) => one - other)[times.length >> 1]

/** Microseconds, and the ratio to the first compiler: all are timed in turn, so that a busy machine slows all alike. */
const speeds = async (built) => {
  const cores = []
  for (const suite of built) cores.push(operationsOf(await loadCore(readFileSync(fileOf(suite, 'countersign')))))
  const names = Object.keys(cores[0])
  const times = cores.map(() => names.map(() => []))
  for (let round = -20; round < ROUNDS; round++) {
    for (let turn = 0; turn < cores.length; turn++) {
      const at = (turn + round + 20) % cores.length
      for (const [place, name] of names.entries()) {
        const time = timeOf(cores[at][name])
        if (round >= 0) times[at][place].push(time)
      }
    }
  }
  const medians = times.map((each) => each.map(medianOf))
  const cell = (value, place) => `${value.toFixed(2)} (${(value / medians[0][place]).toFixed(2)})`
  const rows = built.map((suite, at) => [versionOf(suite), ...medians[at].map(cell)])
  return table(['Emscripten', ...names], rows)
}

/** figures prints both tables for the releases that were built. */
export const figures = async (chosen) => {
  const built = chosen.filter((suite) => existsSync(fileOf(suite, 'countersign')))
  if (built.length === 0) throw new Error('nothing was built yet: run node tools/emscripten/main.mjs')
  console.log(`bytes (brotli)\n\n${table(['Emscripten', ...FILES], sizes(built))}`)
  console.log(`microseconds (ratio), Node ${process.version}\n\n${await speeds(built)}`)
}
