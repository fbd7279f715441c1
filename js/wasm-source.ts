// SPDX-License-Identifier: MIT
// Where the core's WebAssembly file lies in browsers and workers. `new URL(…, import.meta.url)` is the form that
// bundlers recognise: they copy the file and rewrite the address.

/** defaultSource gives the address of countersign.wasm beside this file. */
export const defaultSource = (): URL => new URL('./countersign.wasm', import.meta.url)
