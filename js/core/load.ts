// SPDX-License-Identifier: MIT
// Makes a running instance of the core from a source. Importing this file loads nothing, and a load that failed leaves
// nothing behind.

import { fetchSource } from '#wasm-source'
import { CountersignError, isCountersignError } from '../common/errors.ts'
import type { BytesLike } from '../common/types.ts'
import { bytesOf } from './args.ts'
import createGlue, { type InstantiateWasm } from './platform/glue.js'
import { Wasm } from './wasm.ts'

/** The source of the WebAssembly file: its address, a Response, its bytes or a compiled module. */
export type WasmSource = URL | string | Response | BytesLike | WebAssembly.Module

const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

const compileBytes = (bytes: unknown): Promise<WebAssembly.Module> =>
  WebAssembly.compile(bytesOf(bytes, 'source') as Uint8Array<ArrayBuffer>)

const compileResponse = async (response: Response): Promise<WebAssembly.Module> => {
  if (!response.ok) throw new CountersignError('ERR_LOAD_FAILED', { detail: `HTTP status ${response.status}` })
  // Streaming refuses every other type. A server that does not know .wasm is no reason to fail.
  const isWasm = response.headers.get('content-type') === 'application/wasm'
  return isWasm && WebAssembly.compileStreaming
    ? WebAssembly.compileStreaming(response)
    : compileBytes(await response.arrayBuffer())
}

const compile = async (source: unknown): Promise<WebAssembly.Module> => {
  const tag = tagOf(source)
  if (tag === 'WebAssembly.Module') return source as WebAssembly.Module
  if (tag === 'Response') return compileResponse(source as Response)
  if (typeof source === 'string' || tag === 'URL') return compile(await fetchSource(String(source)))
  return compileBytes(source)
}

const memoryOf = (instance: WebAssembly.Instance): WebAssembly.Memory => {
  // Emscripten shortens the names of exports, so the memory is found by its type.
  const memory = Object.values(instance.exports).find((item) => item instanceof WebAssembly.Memory)
  if (!memory) throw new CountersignError('ERR_VERSION_MISMATCH')
  return memory as WebAssembly.Memory
}

/** Joins a module and the glue. Rejects with ERR_VERSION_MISMATCH when they do not belong together. */
const instantiate = (module: WebAssembly.Module): Promise<Wasm> =>
  new Promise((resolve, reject) => {
    const failed = (cause: unknown): void => {
      // Every other failure is a lack of memory.
      const isForeign = cause instanceof WebAssembly.LinkError || cause instanceof TypeError
      const code = isForeign ? 'ERR_VERSION_MISMATCH' : 'ERR_LOAD_FAILED'
      reject(isCountersignError(cause) ? cause : new CountersignError(code, { cause }))
    }
    let memory: WebAssembly.Memory
    const instantiateWasm: InstantiateWasm = (imports, done) => {
      WebAssembly.instantiate(module, imports)
        .then((instance) => {
          memory = memoryOf(instance)
          done(instance)
        })
        .catch(failed)
      return {}
    }
    createGlue({ instantiateWasm })
      .then((functions) => resolve(new Wasm(functions, memory)))
      .catch(failed)
  })

const load = async (source: () => unknown): Promise<{ wasm: Wasm; module: WebAssembly.Module }> => {
  try {
    const module = await compile(await source())
    return { wasm: await instantiate(module), module }
  } catch (cause) {
    throw isCountersignError(cause) ? cause : new CountersignError('ERR_LOAD_FAILED', { cause })
  }
}

/** Returns the default source of one build of the core. It is also the key of that build's shared instance. */
export type DefaultSource = () => unknown

const shared = new Map<DefaultSource, Promise<Wasm>>()
const compiled = new Map<DefaultSource, WebAssembly.Module>()

const loadShared = async (defaultSource: DefaultSource): Promise<Wasm> => {
  const { wasm, module } = await load(() => compiled.get(defaultSource) ?? defaultSource())
  compiled.set(defaultSource, module)
  wasm.onTrap = () => {
    shared.delete(defaultSource)
  }
  return wasm
}

/**
 * Returns a new instance of the core from a source, or the shared instance of the default source. The shared instance
 * is made once, and made again after a load that failed or after a trap. Rejects with ERR_LOAD_FAILED or
 * ERR_VERSION_MISMATCH.
 */
export async function loadWasm(defaultSource: DefaultSource, source?: unknown): Promise<Wasm> {
  if (source !== undefined) return (await load(() => source)).wasm
  let loading = shared.get(defaultSource)
  if (!loading) {
    loading = loadShared(defaultSource).catch((error: unknown) => {
      shared.delete(defaultSource)
      throw error
    })
    shared.set(defaultSource, loading)
  }
  return loading
}
