// SPDX-License-Identifier: MIT
// Where the core's WebAssembly file lies in browsers and workers.

/**
 * defaultSource gives the address of countersign.wasm beside this file, in the form that bundlers recognise: they copy the
 * file and rewrite the address.
 */
export const defaultSource = (): URL => new URL('./countersign.wasm', import.meta.url)

/** fetchSource fetches an address; rejects as fetch does. */
export const fetchSource = (address: string): Promise<Response> => fetch(address)
