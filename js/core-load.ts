// SPDX-License-Identifier: MIT
// From a source to a running instance. Nothing happens at import; a load that failed leaves nothing behind.

import { defaultSource, fetchSource } from '#wasm-source'
import { bytesOf } from './core-args.ts'
import { Wasm } from './core-wasm.ts'
import { CountersignError, isCountersignError } from './errors.ts'
import createGlue from './glue.js'
import type { BytesLike } from './types.ts'

/** Where countersign.wasm comes from: an address, an answer to be, its bytes, or what is compiled already. */
export type WasmSource = URL | string | Response | BytesLike | WebAssembly.Module

type Instantiated = { instance: WebAssembly.Instance; module: WebAssembly.Module }

const tagOf = (value: unknown): string => Object.prototype.toString.call(value).slice(8, -1)

const fromBytes = (bytes: BytesLike, imports: WebAssembly.Imports): Promise<Instantiated> =>
  WebAssembly.instantiate(bytesOf(bytes, 'source') as Uint8Array<ArrayBuffer>, imports)

const fromResponse = async (response: Response, imports: WebAssembly.Imports): Promise<Instantiated> => {
  if (!response.ok)
    throw new CountersignError('ERR_LOAD_FAILED', { detail: `its answer has status ${response.status}` })
  // Streaming refuses every other type, and a server that does not know .wasm is no reason to fail.
  const isWasm = response.headers.get('content-type')?.trim().toLowerCase() === 'application/wasm'
  return isWasm && WebAssembly.instantiateStreaming
    ? WebAssembly.instantiateStreaming(response, imports)
    : fromBytes(await response.arrayBuffer(), imports)
}

const instantiate = async (source: unknown, imports: WebAssembly.Imports): Promise<Instantiated> => {
  const tag = tagOf(source)
  if (tag === 'WebAssembly.Module') {
    const module = source as WebAssembly.Module
    return { module, instance: await WebAssembly.instantiate(module, imports) }
  }
  if (tag === 'Response') return fromResponse(source as Response, imports)
  if (typeof source === 'string' || tag === 'URL') return instantiate(await fetchSource(String(source)), imports)
  return fromBytes(source as BytesLike, imports)
}

const memoryOf = (instance: WebAssembly.Instance): WebAssembly.Memory => {
  // Emscripten shortens the names of exports, so the memory is found by its kind.
  const memory = Object.values(instance.exports).find((item) => item instanceof WebAssembly.Memory)
  if (!memory) throw new CountersignError('ERR_VERSION_MISMATCH')
  return memory as WebAssembly.Memory
}

/** start instantiates a source with the glue; `foreign` tells a file of another build from one that could not be had. */
const start = (source: unknown): Promise<{ wasm: Wasm; module: WebAssembly.Module }> =>
  new Promise((resolve, reject) => {
    let got: Instantiated | undefined
    const failed = (cause: unknown): void => {
      const foreign = got !== undefined || cause instanceof WebAssembly.LinkError
      const code = foreign ? 'ERR_VERSION_MISMATCH' : 'ERR_LOAD_FAILED'
      reject(isCountersignError(cause) ? cause : new CountersignError(code, { cause }))
    }
    const begin = async (
      imports: WebAssembly.Imports,
      done: (instance: WebAssembly.Instance) => void
    ): Promise<void> => {
      got = await instantiate(source, imports)
      done(got.instance)
    }
    createGlue({
      instantiateWasm: (imports, done) => {
        begin(imports, done).catch(failed)
        return {}
      }
    })
      .then((functions) => {
        const { instance, module } = got as Instantiated
        resolve({ wasm: new Wasm(functions, memoryOf(instance)), module })
      })
      .catch(failed)
  })

const load = async (source: () => unknown): Promise<{ wasm: Wasm; module: WebAssembly.Module }> => {
  if (typeof WebAssembly !== 'object') throw new CountersignError('ERR_LOAD_FAILED', { detail: 'no WebAssembly here' })
  let given: unknown
  try {
    given = await source()
  } catch (cause) {
    throw new CountersignError('ERR_LOAD_FAILED', { cause })
  }
  return start(given)
}

let shared: Promise<Wasm> | undefined
let compiled: WebAssembly.Module | undefined

const loadShared = async (): Promise<Wasm> => {
  const { wasm, module } = await load(() => compiled ?? defaultSource())
  compiled = module
  wasm.onTrap = () => {
    shared = undefined
  }
  return wasm
}

/**
 * loadWasm makes an instance of the core from a source, or gives the shared one, which is made once, again after a load
 * that failed, and anew after a trap. It rejects with ERR_LOAD_FAILED or ERR_VERSION_MISMATCH.
 */
export const loadWasm = async (source?: unknown): Promise<Wasm> => {
  if (source !== undefined) return (await load(() => source)).wasm
  shared ??= loadShared().catch((error: unknown) => {
    shared = undefined
    throw error
  })
  return shared
}
