// SPDX-License-Identifier: MIT
// A core of one's own whose memory can be looked at: WebAssembly.instantiate is watched while it loads.

import { loadCore } from 'countersign/core'

/** wasmBytes reads a built WebAssembly file. */
export const wasmBytes = async (env, name = 'countersign.wasm') => {
  if (env.runtime !== 'node') return new Uint8Array(await (await fetch(new URL(name, env.wasmUrl))).arrayBuffer())
  const { readFile } = await import(`node:${'fs/promises'}`)
  return new Uint8Array(await readFile(new URL(import.meta.resolve(`countersign/${name}`))))
}

const readNumber = (bytes, at) => {
  let value = 0
  for (let shift = 0; ; shift += 7, at++) {
    value |= (bytes[at] & 127) << shift
    if (bytes[at] < 128) return { value, next: at + 1 }
  }
}

/** limitMemory writes another maximum, in pages of 64 KiB, over that of a module's one memory. */
const limitMemory = (bytes, pages) => {
  for (let at = 8; at < bytes.length; ) {
    const { value: size, next } = readNumber(bytes, at + 1)
    if (bytes[at] === 5) {
      const maximum = readNumber(bytes, next + 2).next
      const { next: end } = readNumber(bytes, maximum)
      // As many bytes as before, so that all that follows stays where it is.
      for (let place = maximum; place < end; place++) {
        bytes[place] = ((pages >>> (7 * (place - maximum))) & 127) | (place + 1 < end ? 128 : 0)
      }
      return bytes
    }
    at = next + size
  }
  throw new Error('the module has no memory')
}

/** watchLoad runs `load` and gives what it gave, and the memory of the instance that it made. */
export const watchLoad = async (load) => {
  const { instantiate } = WebAssembly
  let memory
  WebAssembly.instantiate = async (...args) => {
    const made = await instantiate(...args)
    const { exports } = made.instance ?? made
    memory = Object.values(exports).find((item) => item instanceof WebAssembly.Memory)
    return made
  }
  try {
    const core = await load()
    return { core, memory }
  } finally {
    WebAssembly.instantiate = instantiate
  }
}

/** watchedCore loads a core from bytes, with its memory, which grows to `pages` at most when they are given. */
export const watchedCore = async (env, pages) => {
  const bytes = await wasmBytes(env)
  return watchLoad(() => loadCore(pages ? limitMemory(bytes, pages) : bytes))
}

/** countOf says how often a run of bytes stands in memory. */
export const countOf = ({ buffer }, needle) => {
  const bytes = new Uint8Array(buffer)
  let count = 0
  for (let at = bytes.indexOf(needle[0]); at >= 0; at = bytes.indexOf(needle[0], at + 1)) {
    if (needle.every((byte, index) => bytes[at + index] === byte)) count++
  }
  return count
}
