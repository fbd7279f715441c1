// SPDX-License-Identifier: MIT
// The sources of the core's WebAssembly files in browsers and workers: files beside this one. Bundlers recognise this form:
// they copy the file and rewrite the address.

/** Returns the address of the whole core's file. */
export function wholeSource(): URL {
  return new URL('./countersign.wasm', import.meta.url)
}

/** Returns the address of the file of the client's part. */
export function clientSource(): URL {
  return new URL('./countersign-client.wasm', import.meta.url)
}

/** Fetches an address. Rejects as fetch does. */
export function fetchSource(address: string): Promise<Response> {
  return fetch(address)
}
