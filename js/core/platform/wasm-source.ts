// SPDX-License-Identifier: MIT
// Where the core's WebAssembly files lie in browsers and workers: beside this file. The form is one that bundlers recognise:
// they copy the file and rewrite the address.

/** wholeSource gives the address of the whole core. */
export function wholeSource(): URL {
  return new URL('../../countersign.wasm', import.meta.url)
}

/** clientSource gives the address of the client's part. */
export function clientSource(): URL {
  return new URL('../../countersign-client.wasm', import.meta.url)
}

/** fetchSource fetches an address; rejects as fetch does. */
export function fetchSource(address: string): Promise<Response> {
  return fetch(address)
}
