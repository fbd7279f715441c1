// SPDX-License-Identifier: MIT
// The types of dist/core/platform/glue.js: Emscripten's module for wasm/bindings.cpp, minified by tools/build.mjs.

/**
 * Replaces the glue's own search for the file: instantiates the module with `imports` and passes the instance to
 * `done`.
 */
export type InstantiateWasm = (
  imports: WebAssembly.Imports,
  done: (instance: WebAssembly.Instance, module?: WebAssembly.Module) => void
) => object

declare const createGlue: (options: { instantiateWasm: InstantiateWasm }) => Promise<Record<string, unknown>>

export { createGlue as default }
