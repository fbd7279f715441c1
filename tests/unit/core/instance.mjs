// SPDX-License-Identifier: MIT
// A core of one's own whose memory can be looked at: WebAssembly.instantiate is watched while it loads.

import { loadCore } from 'countersign/core'

/** wasmBytes reads a built WebAssembly file. */
export const wasmBytes = async (env, name = 'countersign.wasm') => {
  if (env.runtime !== 'node') return new Uint8Array(await (await fetch(new URL(name, env.wasmUrl))).arrayBuffer())
  const { readFile } = await import(`node:${'fs/promises'}`)
  return new Uint8Array(await readFile(new URL(import.meta.resolve(`countersign/${name}`))))
}

/** watchLoad runs `load` and gives what it gave and the memory of the instance that it made. */
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
    return { core: await load(), memory }
  } finally {
    WebAssembly.instantiate = instantiate
  }
}

/** watchedCore loads a core from bytes, with its memory. */
export const watchedCore = async (env) => {
  const bytes = await wasmBytes(env)
  return watchLoad(() => loadCore(bytes))
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
