// SPDX-License-Identifier: MIT
// Prints what takes the bytes of each WebAssembly file: code by library, data, and the largest functions of the page's file.
//
//   node tools/wasm-map.mjs
//
// It links the files once more with the names of their functions, into build/wasm-map. The code is that of the package. A
// function belongs to the library that its name is of, whatever the compiler has put into it.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

process.chdir(dirname(dirname(fileURLToPath(import.meta.url))))
const folder = 'build/wasm-map'
const FILES = ['countersign-client', 'countersign', 'countersign-knock', 'countersign-json']
const LARGEST = 12

/** The ids of sections. */
const [CUSTOM, CODE, DATA] = [0, 10, 11]

/** The first that fits the name of a function has it. libsodium's verification is inlined into the one function that calls it. */
const LIBRARIES = [
  [
    'libsodium',
    /^(countersign_|_)?(crypto_|ge25519|fe25519|sc25519|sodium_|SHA512|slide|load_[34])|^countersign::verify_ed25519$/
  ],
  ['BearSSL', /^(countersign_)?br_/],
  ['Embind', /^emscripten::|^__wasm_call_ctors/],
  ['countersign, JSON', /^countersign::(json::|.*[jJ]son|\w*(proof|stats|claim))/],
  ['countersign, border to JavaScript', /^countersign::wasm::/],
  ['countersign, core', /^countersign::/],
  ['libc++', /^std::|^operator|^__libcpp|^__cxa|^vtable/],
  ['musl, allocator, compiler-rt', /./]
]

const run = (command, args) => {
  const NODE_PATH = [process.env.NODE_PATH, '/usr/share/nodejs'].filter(Boolean).join(delimiter)
  const { status, error, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    env: { ...process.env, NODE_PATH }
  })
  if (status === 0) return
  console.error(
    `wasm-map: ${command} failed: ${error?.message ?? stdout + stderr}; tools/setup build installs what is missing`
  )
  process.exit(1)
}

/** qualified gives the name of a function without what it returns, its parameters and those of templates. */
const qualified = (name) => {
  const plain = name.replaceAll('(anonymous namespace)', '_').replace(/operator(<=>|<<|>>|<|>|\(\))=?/g, 'operator')
  let text = ''
  let depth = 0
  for (const letter of plain) {
    if (letter === '(' && depth === 0) break
    if (letter === '<') depth++
    if (depth === 0) text += letter
    if (letter === '>') depth--
  }
  return text.startsWith('operator')
    ? text
    : text
        .replace(/^byn\$mgfn-shared\$/, '')
        .split(' ')
        .at(-1)
}

const readerOf = (bytes, start = 0) => {
  const reader = {
    at: start,
    number: () => {
      let value = 0
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[reader.at++]
        value |= (byte & 127) << shift
        if (byte < 128) return value >>> 0
      }
    },
    text: () => {
      const size = reader.number()
      reader.at += size
      return bytes.toString('utf8', reader.at - size, reader.at)
    }
  }
  return reader
}

/** sectionsOf gives { id, start, end } of each section, whose content begins at `start`. */
const sectionsOf = (bytes) => {
  const reader = readerOf(bytes, 8)
  const sections = []
  while (reader.at < bytes.length) {
    const id = bytes[reader.at++]
    const size = reader.number()
    sections.push({ id, start: reader.at, end: reader.at + size })
    reader.at += size
  }
  return sections
}

const bodiesOf = (bytes, { start }) => {
  const reader = readerOf(bytes, start)
  return Array.from({ length: reader.number() }, () => {
    const from = reader.at
    const size = reader.number()
    reader.at += size
    return reader.at - from
  })
}

/** namesOf reads the names of functions, imports first. */
const namesOf = (bytes, { start, end }) => {
  const names = []
  const reader = readerOf(bytes, start)
  if (reader.text() !== 'name') return names
  while (reader.at < end) {
    const kind = bytes[reader.at++]
    const next = reader.number() + reader.at
    if (kind === 1) for (let left = reader.number(); left > 0; left--) names[reader.number()] = reader.text()
    reader.at = next
  }
  return names
}

/** mapOf gives the functions of a file as { name, size }, and the sizes of its sections. */
const mapOf = (file) => {
  const bytes = readFileSync(join(folder, `${file}.wasm`))
  const sections = sectionsOf(bytes)
  const sizeOf = (wanted) =>
    sections.filter(({ id }) => id === wanted).reduce((sum, { start, end }) => sum + end - start, 0)
  const names = sections.filter(({ id }) => id === CUSTOM).flatMap((section) => namesOf(bytes, section))
  const bodies = bodiesOf(
    bytes,
    sections.find(({ id }) => id === CODE)
  )
  const imported = names.length - bodies.length
  const functions = bodies.map((size, at) => ({ name: qualified(names[imported + at]), size }))
  const rest = bytes.length - sizeOf(CUSTOM) - sizeOf(DATA) - bodies.reduce((sum, size) => sum + size, 0)
  return { functions, data: sizeOf(DATA), rest }
}

const libraryOf = ({ name }) => LIBRARIES.find(([, pattern]) => pattern.test(name))[0]
const row = (cells) => console.log(`| ${cells.join(' | ')} |`)
const sum = (functions) => functions.reduce((total, { size }) => total + size, 0)

run('emcmake', ['cmake', '--preset', 'wasm', '-B', folder, '-DCMAKE_EXE_LINKER_FLAGS=--profiling-funcs'])
run('cmake', ['--build', folder])
const maps = FILES.map(mapOf)
row(['bytes of', ...FILES])
row(['---', ...FILES.map(() => '--:')])
for (const [library] of LIBRARIES) {
  row([library, ...maps.map(({ functions }) => sum(functions.filter((each) => libraryOf(each) === library)) || '')])
}
row(['data', ...maps.map(({ data }) => data)])
row(['types, table, names of exports', ...maps.map(({ rest }) => rest)])
row(['all', ...maps.map(({ functions, data, rest }) => sum(functions) + data + rest)])
console.log(`\nThe largest functions of ${FILES[0]}.wasm:\n`)
const [{ functions }] = maps
for (const { name, size } of functions.sort((one, other) => other.size - one.size).slice(0, LARGEST)) {
  console.log(`${String(size).padStart(6)}  ${name}`)
}
