// SPDX-License-Identifier: MIT
// Makes a running instance of the core from a source. Importing this file loads nothing, and a load that failed leaves
// nothing behind.

import { CountersignError, isCountersignError } from '../common/errors.ts'
import type { WasmModule } from '../common/platform-types.ts'
import type { BytesLike } from '../common/types.ts'
import { bytesOf } from './args.ts'
import { Wasm } from './wasm.ts'

/** The source of the WebAssembly file: its address, a Response, its bytes or a compiled module. */
export type WasmSource = URL | string | Response | BytesLike | WasmModule

/**
 * Returns one of Node's own modules, without an import that a bundler for pages would have to find. Returns undefined
 * in a page and in a worker, where an element or a bundler's stand-in may have the name `process`.
 */
export function builtin<Module>(name: string): Module | undefined {
  // A bundler that meets the bare name looks for a stand-in, and Parcel fails where there is none.
  const node = globalThis.process
  return typeof node?.getBuiltinModule === 'function' ? (node.getBuiltinModule(name) as Module) : undefined
}

// Node's fetch does not read file: addresses.
const fetchSource = (address: string): Promise<Response | Uint8Array> => {
  const files = address.startsWith('file:') && builtin<typeof import('node:fs/promises')>('node:fs/promises')
  return files ? files.readFile(new URL(address)) : fetch(address)
}

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

// The WebAssembly travels inside the JavaScript, as text. So nothing is fetched, no bundler has to find a file, and no
// policy has to allow an address. The text is not compressed: the transport compresses the file's own patterns better.

/**
 * Returns the bytes of a text that tools/build.mjs has written. A byte is y = (byte + 1) mod 256 = 83 × l + d. Its text is
 * the character 39 + l, left out where l is 0, and then the character 43 + d, or 44 + d from 92 on: no backslash is among
 * them.
 */
function decodeWasm(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length)
  let length = 0
  let high = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 43) high = (code - 39) * 83
    else {
      bytes[length++] = high + code - (code > 92 ? 45 : 44)
      high = 0
    }
  }
  return bytes.slice(0, length)
}

/** What a module of wasm/ exports to the loader; all other functions are in the table. */
type WasmExports = {
  readonly memory: WebAssembly.Memory
  readonly __indirect_function_table: WebAssembly.Table
  _initialize(): void
}

const textAt = (memory: WebAssembly.Memory, address: number): string => {
  const bytes = new Uint8Array(memory.buffer, address)
  return String.fromCharCode(...bytes.subarray(0, bytes.indexOf(0)))
}

/**
 * Starts a module. Embind then registers each function of wasm/ with its name and its place in the table. Rejects with
 * ERR_VERSION_MISMATCH when the module is not one of this build.
 */
const instantiate = async (module: WebAssembly.Module): Promise<Wasm> => {
  const functions: Record<string, unknown> = {}
  let exports: WasmExports
  // What a module imports; tools/build.mjs refuses one that imports more.
  const env = {
    _embind_register_function(
      name: number,
      _size: number,
      _types: number,
      _signature: number,
      _how: number,
      run: number
    ) {
      functions[textAt(exports.memory, name)] = exports.__indirect_function_table.get(run)
    },
    // The memory is asked instead (js/core/wasm.ts).
    emscripten_notify_memory_growth() {}
  }
  const wasi_snapshot_preview1 = {
    proc_exit() {
      throw new WebAssembly.RuntimeError('abort')
    }
  }
  try {
    const instance = await WebAssembly.instantiate(module, { env, wasi_snapshot_preview1 })
    exports = instance.exports as WasmExports
    exports._initialize()
    return new Wasm(functions, exports.memory)
  } catch (cause) {
    // Every other failure is a lack of memory.
    const isForeign = cause instanceof WebAssembly.LinkError || cause instanceof TypeError
    throw isForeign ? new CountersignError('ERR_VERSION_MISMATCH', { cause }) : cause
  }
}

const load = async (source: () => unknown): Promise<{ wasm: Wasm; module: WebAssembly.Module }> => {
  try {
    const module = await compile(await source())
    return { wasm: await instantiate(module), module }
  } catch (cause) {
    throw isCountersignError(cause) ? cause : new CountersignError('ERR_LOAD_FAILED', { cause })
  }
}

// By the text of the build: one instance, and the module for the next one.
const shared = new Map<string, Promise<Wasm>>()
const compiled = new Map<string, WebAssembly.Module>()

const loadShared = async (text: string): Promise<Wasm> => {
  const { wasm, module } = await load(() => compiled.get(text) ?? decodeWasm(text))
  compiled.set(text, module)
  wasm.onTrap = () => {
    shared.delete(text)
  }
  return wasm
}

/** Sets the module of a build, for a runtime that compiles no bytes. It has to be called before the first load. */
export function presetModule(text: string, module: WasmModule): void {
  compiled.set(text, module)
}

/**
 * Returns a new instance of the core from a source, or the shared instance of the build with this text. The shared
 * instance is made once, and made again after a load that failed or after a trap. Rejects with ERR_LOAD_FAILED or
 * ERR_VERSION_MISMATCH.
 */
export async function loadWasm(text: string, source?: unknown): Promise<Wasm> {
  if (source !== undefined) return (await load(() => source)).wasm
  let loading = shared.get(text)
  if (!loading) {
    loading = loadShared(text).catch((error: unknown) => {
      shared.delete(text)
      throw error
    })
    shared.set(text, loading)
  }
  return loading
}
