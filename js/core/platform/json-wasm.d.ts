// SPDX-License-Identifier: MIT
// The type of dist/core/platform/json-wasm.js, which tools/build.mjs writes.

/** A WebAssembly file of the core as ASCII text; `decodeWasm` gives its bytes. */
export declare const jsonWasm: string
