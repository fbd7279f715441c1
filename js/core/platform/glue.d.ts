// SPDX-License-Identifier: MIT
// dist/core/platform/glue.js is Emscripten's module for wasm/bindings.cpp, minified by tools/build.mjs.

/** What the glue calls instead of looking for the file itself: instantiate with `imports`, then hand over the instance. */
export type InstantiateWasm = (
  imports: WebAssembly.Imports,
  done: (instance: WebAssembly.Instance, module?: WebAssembly.Module) => void
) => object

declare const createGlue: (options: { instantiateWasm: InstantiateWasm }) => Promise<Record<string, unknown>>

export { createGlue as default }
