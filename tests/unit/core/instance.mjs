// SPDX-License-Identifier: MIT
// A core of one's own whose memory can be looked at: WebAssembly.instantiate is watched while it loads.

import { loadCore } from 'countersign/core'

/** wasmBytes reads a built WebAssembly file. */
export const wasmBytes = async (env, name = 'countersign.wasm') => {
  if (env.runtime !== 'node') return new Uint8Array(await (await fetch(new URL(name, env.wasmUrl))).arrayBuffer())
  const { readFile } = await import(`node:${'fs/promises'}`)
  return new Uint8Array(await readFile(new URL(import.meta.resolve(`countersign/${name}`))))
}

// The one import that is called with a number above the memory's size is the wish for more memory.
const withoutGrowth = (imports, isDenied) => {
  const refusing =
    (run) =>
    (...args) =>
      args.length === 1 && isDenied(args[0]) ? 0 : run(...args)
  const wrap = (part) =>
    Object.fromEntries(
      Object.entries(part).map(([name, item]) => [name, typeof item === 'function' ? refusing(item) : item])
    )
  return Object.fromEntries(Object.entries(imports).map(([name, part]) => [name, wrap(part)]))
}

/**
 * watchLoad runs `load` and gives what it gave and the memory of the instance that it made. After `starve` that memory
 * grows no more.
 */
export const watchLoad = async (load) => {
  const { instantiate } = WebAssembly
  let memory
  let isStarved = false
  const isDenied = (wish) => isStarved && wish > memory.buffer.byteLength
  WebAssembly.instantiate = async (source, imports = {}) => {
    const made = await instantiate(source, withoutGrowth(imports, isDenied))
    const { exports } = made.instance ?? made
    memory = Object.values(exports).find((item) => item instanceof WebAssembly.Memory)
    return made
  }
  try {
    const core = await load()
    const starve = () => {
      isStarved = true
    }
    return { core, memory, starve }
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
